import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import { type ExportResult, openExportResult } from '#shared/domain/backup/export-result.ts';
import { storedFileKey } from '#shared/domain/backup/manifest.ts';
import type { ExportOrder, LoadOrder } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { parseArchiveManifest } from '#shared/domain/odoo/archive-manifest.ts';
import { type AcceptedBackup, backupOrder, inFolder, neverAborted, runBackup } from './backup.fixture.ts';
import { attachedFiles, readContents } from './contents.ts';
import { exportBackup } from './export.ts';
import { load } from './load.ts';
import { openOdooArchive } from './odoo-archive.ts';
import { withSession } from './session.ts';
import { dropTestDatabase, makeTenant, makeVerificationDatabase, type Tenant } from './tenant.fixture.ts';

let folder: string;
let store: ObjectStore;
let tenant: Tenant;
let backup: AcceptedBackup;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-export-'));
  store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder, { partners: 3_000 });
  backup = await runBackup(backupOrder(tenant), store);
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

const newKey = () => randomBytes(32).toString('base64');

function exportOrder(of: AcceptedBackup, changed: Partial<ExportOrder> = {}): ExportOrder {
  const operationId = randomUUID();
  return {
    version: 1,
    task: 'export',
    instanceId: of.order.instanceId,
    operationId,
    attempt: 1,
    store: of.order.store,
    prefix: `exports/${of.order.instanceId}/${operationId}/1`,
    resultKey: newKey(),
    backupId: of.order.backupId,
    manifest: of.manifest,
    keys: of.order.keys,
    archiveKey: newKey(),
    databaseName: 'acme',
    ...changed,
  };
}

async function runExport(order: ExportOrder, from = store): Promise<ExportResult> {
  await inFolder((own) =>
    exportBackup(order, { store: from, folder: own, signal: neverAborted(), say: () => undefined }),
  );
  return openExportResult((await store.get(`${order.prefix}/result`)) ?? Buffer.alloc(0), order);
}

async function loadZip(source: { key: string; encryptionKey: string }, database: LoadOrder['database']) {
  const operationId = randomUUID();
  const order: LoadOrder = {
    version: 1,
    task: 'load',
    instanceId: 'newinstance1',
    operationId,
    attempt: 1,
    store: backup.order.store,
    prefix: `loads/newinstance1/${operationId}/1`,
    resultKey: newKey(),
    source: { kind: 'odoo-zip', sha256: null, odooVersion: '19.0', ...source },
    database,
    filestore: { folder: join(folder, 'data/filestore/odoo_newinstance1'), linkFrom: null },
  };
  const result = await inFolder((own) =>
    load(order, { store, folder: own, signal: neverAborted(), say: () => undefined }),
  );
  return { result, filestore: order.filestore.folder };
}

describe('an export', () => {
  it('is a zip as Odoo’s own, encrypted, with what the backup holds; loaded again it is the same', async () => {
    const order = exportOrder(backup);
    const { archive, files } = await runExport(order);
    expect(files).toBe(4);
    const bytes =
      (await encryptedStore(store, Buffer.from(order.archiveKey, 'base64')).get(archive.key)) ?? Buffer.alloc(0);
    expect([bytes.length, createHash('sha256').update(bytes).digest('hex')]).toEqual([archive.bytes, archive.sha256]);
    expect((await store.get(archive.key))?.includes('dump.sql')).toBe(false);

    const file = join(folder, 'export.zip');
    await writeFile(file, bytes);
    const opened = await openOdooArchive(file);
    const attached = await tenant.asSuperuser((client) => attachedFiles(client));
    expect([...opened.files.keys()].toSorted()).toEqual(attached.map((one) => one.file));
    const about: Buffer[] = [];
    for await (const piece of opened.read(opened.manifest)) about.push(piece);
    expect(parseArchiveManifest(Buffer.concat(about))).toEqual({ majorVersion: '19.0', modules: ['base', 'web'] });
    await opened.close();

    const database = await makeVerificationDatabase();
    const { result, filestore } = await loadZip({ key: archive.key, encryptionKey: order.archiveKey }, database);
    expect(result).toMatchObject({
      differences: [],
      files: 4,
      odooVersion: '19.0.1.3',
      source: { sha256: archive.sha256 },
    });
    const found = await withSession(database, neverAborted(), (client) => readContents(client));
    expect(found).toEqual(backup.content.contents);
    for (const one of attached) {
      expect(await readFile(join(filestore, one.file))).toEqual(await readFile(join(tenant.filestore, one.file)));
    }
    expect(await readdir(join(filestore, '..'))).toEqual(['odoo_newinstance1']);
    await dropTestDatabase(database);
  });

  it('is none when the dump, a file or the manifest is damaged or missing', async () => {
    const [file] = backup.content.files.objects;
    const keys = [backup.content.dump.key, storedFileKey(tenant.instanceId, file?.[0] ?? ''), backup.manifest.key];
    for (const key of keys) {
      const right = (await store.get(key)) ?? Buffer.alloc(0);
      const flipped = Buffer.from(right);
      const middle = Math.floor(flipped.length / 2);
      flipped[middle] = (flipped[middle] ?? 0) ^ 1;
      for (const wrong of [flipped, right.subarray(0, -30), undefined]) {
        const order = exportOrder(backup);
        const without: ObjectStore = {
          ...store,
          read: async (name) =>
            name === key ? wrong && { size: wrong.length, bytes: pieces(wrong) } : await store.read(name),
          get: async (name) => (name === key ? wrong : await store.get(name)),
        };
        await expect(runExport(order, without), key).rejects.toMatchObject({ code: 'damaged' });
        expect(await store.head(`${order.prefix}/archive`)).toBeUndefined();
        expect(await store.head(`${order.prefix}/result`)).toBeUndefined();
      }
    }
  });
});

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
