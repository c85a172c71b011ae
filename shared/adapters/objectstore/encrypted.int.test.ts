import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoreAccess } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { sealedSize } from '#shared/domain/objects/sealing.ts';
import { objectStoreContract } from '#shared/testing/contracts/object-store.ts';
import { inPieces, readWhole } from '#shared/testing/contracts/object-store-streams.ts';
import { openDirectoryStore } from './directory.ts';
import { encryptedStore } from './encrypted.ts';
import { isWithoutS3, s3Everything, s3World, whyWithoutS3 } from './s3.fixture.ts';

const key = randomBytes(32);
const program = join(import.meta.dirname, 'encrypted-writer.fixture.ts');
let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'encrypted-'));
});
afterAll(() => rm(folder, { recursive: true }));
const newPath = () => {
  count += 1;
  return join(folder, String(count));
};
async function writerOf(access: StoreAccess) {
  const order = `${newPath()}.json`;
  await writeFile(order, JSON.stringify({ access, key: key.toString('base64') }), { mode: 0o600 });
  return { command: process.execPath, args: [program, order] };
}

objectStoreContract('the encrypted directory store', async () => {
  const access: StoreAccess = { kind: 'directory', folder: newPath() };
  return { open: () => encryptedStore(openDirectoryStore(access.folder), key), writer: await writerOf(access) };
});

describe.skipIf(isWithoutS3)(`on an S3 server (versitygw)${whyWithoutS3}`, () => {
  const world = s3World();
  objectStoreContract(
    'the encrypted S3 store',
    async () => {
      const { server } = world();
      const bucket = await server.newBucket();
      const both = encryptedStore(s3Everything(world(), bucket), key);
      const place = { kind: 's3' as const, endpoint: server.endpoint, region: server.region, bucket };
      return { open: () => both, writer: await writerOf({ ...place, ...server.writer }) };
    },
    { largeBytes: 12_000_000 },
  );
});

describe('an encrypted store', () => {
  const content = randomBytes(700_000);
  let store: ObjectStore;
  let raw: ObjectStore;
  let path: string;
  const file = (name: string) => join(path, ...name.split('/'));
  const opened = async () => {
    path = newPath();
    raw = openDirectoryStore(path);
    store = encryptedStore(raw, key);
    await store.write('f/object', inPieces(content, 100_000));
  };
  const refused = async (name = 'f/object') => {
    await expect(store.get(name)).rejects.toMatchObject({ code: 'damaged' });
    await expect(readWhole(store, name)).rejects.toMatchObject({ code: 'damaged' });
  };

  it('tells what lies in the store besides what was given', async () => {
    await opened();
    const written = await store.write('f/other', inPieces(content, 100_000));
    const head = await raw.head('f/other');
    expect(head?.size).toBe(sealedSize(content.length));
    expect(written).toMatchObject({ content: { size: content.length }, stored: { size: head?.size } });
    const [first, second] = [await readFile(file('f/object')), await readFile(file('f/other'))];
    expect(first.includes(content.subarray(0, 16))).toBe(false);
    expect(first.subarray(-100).equals(second.subarray(-100))).toBe(false);
  });

  it.each([0, 1, 55, 56, 72, 262_216, 262_217, 524_376, 700_000])('refuses an object cut to %i bytes', async (size) => {
    await opened();
    await truncate(file('f/object'), size);
    await refused();
  });

  it('refuses an object with a bit flipped', async () => {
    await opened();
    const sealed = await readFile(file('f/object'));
    for (const at of [0, 4, 10, 30, 60, 262_200, 300_000, sealed.length - 1]) {
      const bad = Buffer.from(sealed);
      bad[at] = (bad[at] ?? 0) ^ 4;
      await writeFile(file('f/object'), bad);
      await refused();
    }
    await writeFile(file('f/object'), sealed);
    expect(await store.get('f/object')).toEqual(content);
  });

  it("refuses another object's bytes, and another key's", async () => {
    await opened();
    await store.put('f/other', randomBytes(700_000));
    await copyFile(file('f/other'), file('f/object'));
    await refused();
    const others = encryptedStore(raw, randomBytes(32));
    await expect(others.get('f/other')).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/f\/other is encrypted with another key/),
    });
  });

  it('refuses what nobody encrypted', async () => {
    await opened();
    await raw.put('f/plain', content);
    await refused('f/plain');
    await raw.put('f/empty', Buffer.alloc(0));
    await refused('f/empty');
    await expect(store.head('f/empty')).rejects.toMatchObject({ code: 'damaged' });
  });

  it('takes no more memory for a larger object', async () => {
    await opened();
    const piece = randomBytes(1024 * 1024);
    let most = 0;
    async function* source() {
      for (let number = 0; number < 200; number += 1) {
        if (number % 20 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
        yield piece;
      }
    }
    const before = process.memoryUsage().arrayBuffers;
    await store.write('f/large', source());
    let size = 0;
    for await (const one of (await store.read('f/large'))?.bytes ?? []) {
      size += one.length;
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
    expect(size).toBe(200 * 1024 * 1024);
    expect(most - before).toBeLessThan(120 * 1024 * 1024);
  });
});
