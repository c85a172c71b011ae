import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { archiveOf, manifestJson, renamed } from './odoo-archive.fixture.ts';
import { archiveLimits, openOdooArchive } from './odoo-archive.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-archive-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const sha1 = createHash('sha1').update('first').digest('hex');
const path = `${sha1.slice(0, 2)}/${sha1}`;
const whole = { 'dump.sql': 'SELECT 1;', [`filestore/${path}`]: 'first', 'manifest.json': manifestJson() };
const evil = 'e'.repeat(sha1.length);

async function opened(zip: Buffer, limits = archiveLimits) {
  const file = join(folder, 'archive.zip');
  await writeFile(file, zip);
  return await openOdooArchive(file, limits);
}

async function refusal(zip: Buffer, limits = archiveLimits): Promise<unknown> {
  const error: unknown = await opened(zip, limits).then(
    async (archive) => {
      await archive.close();
      return 'it was opened';
    },
    (one: unknown) => one,
  );
  return error;
}

describe('an archive of Odoo', () => {
  it('is opened: the dump, the manifest, the files by their own names', async () => {
    const archive = await opened(await archiveOf({ ...whole, 'filestore/checklist/ab/x': '' }));
    expect([...archive.files.keys()]).toEqual([path]);
    const pieces: Buffer[] = [];
    for await (const piece of archive.read(archive.dump)) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe('SELECT 1;');
    await archive.close();
  });

  it.each([
    ['leads out of the folder', '../../../../../../etc/cron.d/'],
    ['is absolute', '/etc/cron.d/'],
    ['has a backslash', '..\\..\\windows\\'],
    ['is that of a program of ours', 'etc/fleet/order.json/'],
    ['is none of sha1', 'filestore/zz/'],
  ])('is refused when a name in it %s', async (_, begin) => {
    const from = `filestore/ee/${evil}`;
    const to = begin + 'x'.repeat(from.length - begin.length);
    const zip = renamed(await archiveOf({ ...whole, [from]: 'x' }), from, to);
    expect(await refusal(zip)).toMatchObject({
      name: 'Failure',
      code: expect.stringMatching(/invalid-request|damaged/),
    });
  });

  it('is refused when a file is in it twice, and when it has no dump or no manifest', async () => {
    const other = `filestore/${path.slice(0, -1)}${path.endsWith('0') ? '1' : '0'}`;
    const twice = renamed(await archiveOf({ ...whole, [other]: 'second' }), other, `filestore/${path}`);
    expect(await refusal(twice)).toMatchObject({ code: 'invalid-request', message: expect.stringContaining('twice') });
    const noDump = await archiveOf({ 'manifest.json': manifestJson() });
    expect(await refusal(noDump)).toMatchObject({ message: expect.stringContaining('no dump.sql') });
    const noManifest = await archiveOf({ 'dump.sql': '' });
    expect(await refusal(noManifest)).toMatchObject({ message: expect.stringContaining('no manifest.json') });
  });

  it('is refused when a file in it is a link', async () => {
    const zip = await archiveOf(whole);
    // the mode of a file, as the list of contents has it: a plain file's becomes a link's
    const mode = Buffer.alloc(4);
    mode.writeUInt32LE((0o100644 << 16) >>> 0);
    const link = Buffer.alloc(4);
    link.writeUInt32LE((0o120777 << 16) >>> 0);
    const at = zip.lastIndexOf(mode);
    expect(at).toBeGreaterThan(0);
    link.copy(zip, at);
    expect(await refusal(zip)).toMatchObject({ message: expect.stringContaining('no plain file') });
  });

  it('is refused when it would unpack to far more than it is, or to more than is allowed', async () => {
    const bomb = await archiveOf({ ...whole, 'dump.sql': Buffer.alloc(20_000_000) });
    const small = { ...archiveLimits, ratioFromBytes: 1_000_000 };
    expect(await refusal(bomb, small)).toMatchObject({ message: expect.stringContaining('would unpack') });
    expect(await refusal(bomb, { ...archiveLimits, dumpBytes: 1_000_000 })).toMatchObject({
      message: expect.stringContaining('are allowed'),
    });
    expect(await refusal(bomb, { ...archiveLimits, entries: 2 })).toMatchObject({ code: 'invalid-request' });
  });

  it('is never unpacked beyond what its list of contents says', async () => {
    const zip = await archiveOf({ ...whole, 'dump.sql': Buffer.alloc(1_000_000) });
    const size = Buffer.alloc(4);
    size.writeUInt32LE(1_000_000);
    const lie = Buffer.alloc(4);
    lie.writeUInt32LE(10);
    for (let at = zip.indexOf(size); at !== -1; at = zip.indexOf(size, at + 1)) lie.copy(zip, at);
    const archive = await opened(zip);
    const read = async () => {
      let bytes = 0;
      for await (const piece of archive.read(archive.dump)) bytes += piece.length;
      return bytes;
    };
    await expect(read()).rejects.toMatchObject({ code: 'damaged' });
    await archive.close();
  });

  it.each([0.2, 0.5, 0.9, 0.999])('is damaged when it is cut after %d of it', async (part) => {
    const zip = await archiveOf(whole);
    expect(await refusal(zip.subarray(0, Math.floor(zip.length * part)))).toMatchObject({ code: 'damaged' });
  });

  it('is damaged when it is no zip, and when a bit of a file is another', async () => {
    expect(await refusal(Buffer.from('PK no zip at all'))).toMatchObject({ code: 'damaged' });
    expect(await refusal(Buffer.alloc(0))).toMatchObject({ code: 'damaged' });
    const stored = await archiveOf({ ...whole, 'dump.sql': Buffer.from('SELECT 12345678;') });
    const at = stored.indexOf('dump.sql') + 'dump.sql'.length + 5;
    stored[at] = (stored[at] ?? 0) ^ 4;
    const archive = await opened(stored);
    const read = async () => {
      for await (const _ of archive.read(archive.dump)) continue;
    };
    await expect(read()).rejects.toMatchObject({ code: 'damaged' });
    await archive.close();
  });
});
