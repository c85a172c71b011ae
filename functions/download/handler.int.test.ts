import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import type { Export } from '#shared/domain/backup/export.ts';
import { exportLink } from '#shared/domain/backup/export-link.ts';
import { parseKeyRing, ringKeyWrapper, ringSigner } from '#shared/domain/backup/key-ring.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { openLog } from '#shared/runtime/log.ts';
import { downloadHandler } from './handler.ts';

const ring = parseKeyRing(JSON.stringify({ current: 'k1', keys: { k1: randomBytes(32).toString('base64') } }));
const wrapper = ringKeyWrapper(() => ring);
const signer = ringSigner(() => ring);
const content = randomBytes(1_500_000);
const sha256 = createHash('sha256').update(content).digest('hex');
const soon = new Date(Date.now() + 3_600_000);
const id = randomUUID();
const key = `exports/abcdefghijkl/${id}/1/archive`;

let folder: string;
let server: Server;
let baseUrl: string;
let store: ObjectStore;
let made: Export;
let noted: number;
let database: 'up' | 'down';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-download-'));
  store = openDirectoryStore(folder);
  const handler = downloadHandler({
    downloads: {
      async find(exportId) {
        if (database === 'down') throw new Failure('unavailable', 'The database is away.');
        return exportId === id && made.state === 'ready' ? { export: made, instanceName: 'acmé "x"' } : undefined;
      },
      async note() {
        noted += 1;
      },
    },
    store: { ...store, read: (name, options) => store.read(name, options) },
    wrapper,
    signer,
    log: openLog({ name: 'download', level: 'silent' }),
  });
  server = createServer((request, response) => void handler(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  [noted, database] = [0, 'up'];
  const archiveKey = randomBytes(32);
  await encryptedStore(store, archiveKey).put(key, content);
  made = {
    id,
    instanceId: 'abcdefghijkl',
    backupId: randomUUID(),
    state: 'ready',
    round: 1,
    archiveKey: await wrapper.wrap(archiveKey, { purpose: 'export', instanceId: 'abcdefghijkl', backupId: id }),
    startedAt: new Date('2027-02-01T10:00:00Z'),
    archive: { key, bytes: content.length, sha256, files: 3 },
    expiresAt: soon,
    downloads: 0,
  };
});

const link = (expiresAt = soon, exportId = id) => exportLink({ exportId, expiresAt }, baseUrl, signer);
const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());

describe('the download of an export', () => {
  it('gives the archive, decrypted, under a name for a file, and is noted', async () => {
    const answer = await fetch(link());
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'application/zip',
      'content-length': String(content.length),
      'content-disposition': 'attachment; filename="acm---x--2027-02-01.zip"',
      'cache-control': 'private, no-store',
      etag: `"${sha256}"`,
    });
    expect((await bytesOf(answer)).equals(content)).toBe(true);
    expect(noted).toBe(1);
  });

  it('goes on where it was broken off, as long as it is the same archive', async () => {
    const first = await fetch(link(), { headers: { range: 'bytes=0-999999' } });
    const rest = await fetch(link(), { headers: { range: 'bytes=1000000-', 'if-range': `"${sha256}"` } });
    expect([first.status, rest.status]).toEqual([206, 206]);
    expect(rest.headers.get('content-range')).toBe(`bytes 1000000-1499999/1500000`);
    expect(Buffer.concat([await bytesOf(first), await bytesOf(rest)]).equals(content)).toBe(true);
    const other = await fetch(link(), { headers: { range: 'bytes=1000000-', 'if-range': '"another"' } });
    expect(other.status).toBe(200);
    await bytesOf(other);
    const behind = await fetch(link(), { headers: { range: 'bytes=1500000-' } });
    expect([behind.status, behind.headers.get('content-range')]).toEqual([416, 'bytes */1500000']);
    await bytesOf(behind);
    // each that gave something
    expect(noted).toBe(3);
  });

  it('reads only what is asked for', async () => {
    const reads: (number | undefined)[] = [];
    const { read } = store;
    store = { ...store, read: async (name, options) => (reads.push(options?.from), await read(name, options)) };
    const last = await fetch(link(), { headers: { range: 'bytes=-1' } });
    expect((await bytesOf(last)).equals(content.subarray(-1))).toBe(true);
    expect(reads[1]).toBeGreaterThan(1_300_000);
    store = { ...store, read };
  });

  it('answers HEAD without a body, and no other method', async () => {
    const head = await fetch(link(), { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '1500000']);
    const posted = await fetch(link(), { method: 'POST' });
    expect(posted.status).toBe(405);
    expect(noted).toBe(0);
  });

  it('answers every link that is not right in one way', async () => {
    const right = link();
    const wrong = [
      link(new Date(Date.now() - 1_000)),
      link(soon, randomUUID()),
      right.slice(0, -1),
      right.replace(/\.\d{10}\./, '.9999999999.'),
      `${baseUrl}/exports/${id}`,
      `${baseUrl}/`,
    ];
    const answers = await Promise.all(
      wrong.map(async (url) => {
        const answer = await fetch(url);
        return `${answer.status} ${await answer.text()}`;
      }),
    );
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/^404 /);
    made = { ...made, state: 'deleting', archiveKey: null };
    expect((await fetch(right)).status).toBe(404);
  });

  it('says when it cannot tell, and shows nothing of an archive that is gone or another', async () => {
    database = 'down';
    expect((await fetch(link())).status).toBe(503);
    database = 'up';
    const sealed = (await store.get(key)) ?? Buffer.alloc(0);
    await store.put(key, sealed.subarray(0, sealed.length - 100));
    expect((await fetch(link())).status).toBe(500);
    await store.remove(key);
    expect((await fetch(link())).status).toBe(500);
  });

  it('breaks off where a byte is another than it was written', async () => {
    const sealed = Buffer.from((await store.get(key)) ?? Buffer.alloc(0));
    sealed[1_000_000] = (sealed[1_000_000] ?? 0) ^ 1;
    await store.put(key, sealed);
    const answer = await fetch(link());
    expect(answer.status).toBe(200);
    await expect(answer.arrayBuffer()).rejects.toThrow();
  });

  it('ends quietly when the client goes away', async () => {
    const request = get(link());
    const [response] = await once(request, 'response');
    await once(response, 'data');
    response.destroy();
    await expect.poll(() => noted, { timeout: 15_000 }).toBe(1);
    expect((await fetch(link(), { method: 'HEAD' })).status).toBe(200);
  });
});
