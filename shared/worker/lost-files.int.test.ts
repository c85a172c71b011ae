import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { storedFileName } from '#shared/domain/backup/manifest.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { backupOrder, neverAborted, runBackup, runVerify } from './backup.fixture.ts';
import { checkLost, mostLost } from './lost-files.ts';
import { dropTestDatabase, makeTenant, type Tenant } from './tenant.fixture.ts';

let folder: string;
let store: ObjectStore;
let tenant: Tenant;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-lost-files-'));
  store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder);
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await tenant.asSuperuser((client) => client.query("DELETE FROM ir_attachment WHERE name = 'odd'"));
});

const nameOf = (text: string) => {
  const sha1 = createHash('sha1').update(text).digest('hex');
  return { sha1, file: `${sha1.slice(0, 2)}/${sha1}` };
};

async function attachWithoutFile(...files: string[]): Promise<number[]> {
  return await tenant.asSuperuser(async (client) => {
    const made = 'INSERT INTO ir_attachment (name, store_fname) SELECT $1, unnest($2::text[]) RETURNING id';
    return (await client.query<{ id: number }>(made, ['odd', files])).rows.map(({ id }) => id);
  });
}

it('a backup is made without a file that the instance has lost, says so, and is proven', async () => {
  const [missing, damaged] = [nameOf('long gone'), nameOf('another content')];
  await mkdir(join(tenant.filestore, damaged.file.slice(0, 2)), { recursive: true });
  await writeFile(join(tenant.filestore, damaged.file), 'not that content');
  const ids = await attachWithoutFile(missing.file, damaged.file);
  const order = backupOrder(tenant);
  const backup = await runBackup(order, store);
  const filesKey = Buffer.from(order.keys.files, 'base64');
  const lost = [
    { name: storedFileName(filesKey, missing.sha1), attachment: ids[0], why: 'missing' },
    { name: storedFileName(filesKey, damaged.sha1), attachment: ids[1], why: 'damaged' },
  ];
  expect(backup.content.files.lost).toEqual(lost.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
  expect(backup.content.files.count).toBe(4);
  expect(await runVerify(backup, store)).toMatchObject({ differences: [], files: 4 });
});

it('a file that an earlier backup has brought is not lost when the instance has lost it', async () => {
  await tenant.asSuperuser((client) => tenant.attach(client, 'kept by the first backup'));
  const first = await runBackup(backupOrder(tenant), store);
  await rm(join(tenant.filestore, nameOf('kept by the first backup').file));
  const second = await runBackup(backupOrder(tenant, { previous: first }), store);
  expect(second.content.files.lost).toBeUndefined();
  expect(second.content.files.count).toBe(first.content.files.count);
  expect(await runVerify(second, store)).toMatchObject({ differences: [] });
});

it('none is made when so many are missing that the volume must be another', async () => {
  const order = backupOrder(tenant);
  await attachWithoutFile(...Array.from({ length: mostLost(30) + 1 }, (_, index) => nameOf(`file ${index}`).file));
  await expect(runBackup(order, store)).rejects.toMatchObject({
    code: 'job-failed',
    message: expect.stringMatching(/^1\d of 2\d files that attachments name .* the volume is the right one/),
  });
});

it.each([
  [1, 0],
  [2, 1],
  [15, 7],
  [1_000, 20],
  [50_000, 500],
])('of %d files at most %d may be lost', (files, lost) => expect(mostLost(files)).toBe(lost));

it('none is made when Odoo has deleted a file with its attachment since the snapshot', async () => {
  const { file, sha1 } = nameOf('deleted meanwhile');
  const filesKey = Buffer.alloc(32, 7);
  const lost = [{ name: storedFileName(filesKey, sha1), attachment: 1, why: 'missing' as const }];
  const files = [{ file, sha1, attachment: 1 }, ...['a', 'b'].map((text) => ({ ...nameOf(text), attachment: 2 }))];
  const check = () => checkLost(lost, { files, filesKey, database: tenant.access, signal: neverAborted() });
  await expect(check()).rejects.toMatchObject({ code: 'job-failed' });
  await attachWithoutFile(file);
  await expect(check()).resolves.toBeUndefined();
});
