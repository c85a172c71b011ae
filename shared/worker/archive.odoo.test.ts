import { execFile } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import { openExportResult } from '#shared/domain/backup/export-result.ts';
import type { DatabaseAccess, ExportOrder, LoadOrder } from '#shared/domain/backup/order.ts';
import { templateBuildCommand } from '#shared/domain/odoo/template-build.ts';
import { realOdooImage } from '#shared/sandbox/odoo/odoo-image.ts';
import { findProgram } from '#shared/sandbox/packages.ts';
import { jsonRpc, type OdooSite, oldHash, openOdooSite, type Served } from '#shared/testing/contracts/odoo-site.ts';
import { backupOrder, inFolder, neverAborted, runBackup } from './backup.fixture.ts';
import { exportBackup } from './export.ts';
import { load } from './load.ts';

const canRun = process.getuid?.() === 0 || (await findProgram('odoo')) !== undefined;
// in CI it runs anyway, and fails with the reason
const isSkipped = !canRun && process.env['CI'] !== 'true';
const newKey = () => randomBytes(32).toString('base64');
const sha1Of = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex');

describe.skipIf(isSkipped)(
  isSkipped ? 'not run: no odoo on PATH, and only root can install it from packages' : '',
  () => {
    const names = ['Größe & Söhne', '株式会社 🐘', 'O\'Reilly; "quoted" \\ back'];
    const contents = [Buffer.from('a small file: ünïcode'), randomBytes(300_000)];
    let site: OdooSite;
    let attachments: number[];
    const store = () => openDirectoryStore(join(site.folder, 'store'));
    const dataOf = (database: string) => join(site.folder, `data-${database}`);
    const access = (database: string, user: string, password: string): DatabaseAccess => {
      const { host, port } = site.postgres;
      return { host, port, user, password, database, sslMode: 'disable' };
    };
    const call = (one: Served, database: string, model: string, method: string, args: unknown[]) =>
      jsonRpc(one.url, 'object', 'execute_kw', [database, 2, 'the password', model, method, args]);

    async function served(database: string, settings: Record<string, string> = {}): Promise<Served> {
      const one = await site.serve(database, settings, { data: dataOf(database) });
      const health = async () => expect((await fetch(`${one.url}/web/health`)).status).toBe(200);
      await vi.waitFor(health, { timeout: 120_000, interval: 100 });
      return one;
    }

    /** Runs a command of Odoo's database manager; its archives lie in the data folder of the database. */
    async function manager(database: string, args: readonly string[]): Promise<void> {
      const command = ['odoo', 'db', '--config=/etc/odoo/odoo.conf', ...args];
      const ran = await site.run(database, command, { data: dataOf(database), settings: { list_db: 'True' } });
      expect(ran.code, ran.output).toBe(0);
    }

    async function expectTheSame(database: string, settings: Record<string, string> = {}): Promise<void> {
      const one = await served(database, settings);
      const search = [[['name', 'in', names]], ['name']];
      const found = (await call(one, database, 'res.partner', 'search_read', search)) as { name: string }[];
      expect(found.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
      const read = (await call(one, database, 'ir.attachment', 'read', [attachments, ['datas']])) as {
        datas: string;
      }[];
      expect(read.map(({ datas }) => sha1Of(Buffer.from(datas, 'base64')))).toEqual(contents.map(sha1Of));
      await one.stop();
    }

    async function givenToOdoo(folder: string): Promise<void> {
      const image = await realOdooImage();
      if (image.kind === 'root')
        await promisify(execFile)('chown', ['-R', `${image.user.uid}:${image.user.gid}`, folder]);
    }

    beforeAll(async () => {
      site = await openOdooSite(await realOdooImage());
      await site.createDatabase('live');
      const built = await site.run('live', templateBuildCommand({ database: 'live', modules: [], language: 'en_US' }));
      expect(built.code, built.output).toBe(0);
      await site.sql('live', `update res_users set password = '${oldHash('the password')}' where id = 2`);
      const live = await served('live');
      for (const name of names) await call(live, 'live', 'res.partner', 'create', [{ name }]);
      const made = contents.map((bytes, at) => ({ name: `file ${at}`, datas: bytes.toString('base64') }));
      attachments = (await call(live, 'live', 'ir.attachment', 'create', [made])) as number[];
      await live.stop();
      await site.sql('postgres', 'alter role tenant createdb');
    });
    afterAll(async () => {
      await site?.close();
    });

    it('Odoo’s own database manager restores an export of ours, and runs on it', async () => {
      const filestore = join(dataOf('live'), 'filestore', 'live');
      const tenant = { instanceId: 'abcdefghijkl', access: access('live', 'tenant', 'tenant-1'), filestore };
      const backup = await runBackup(backupOrder(tenant), store());
      const operationId = randomUUID();
      const order: ExportOrder = {
        version: 1,
        task: 'export',
        instanceId: 'abcdefghijkl',
        operationId,
        attempt: 1,
        store: backup.order.store,
        prefix: `exports/abcdefghijkl/${operationId}/1`,
        resultKey: newKey(),
        backupId: backup.order.backupId,
        manifest: backup.manifest,
        keys: backup.order.keys,
        archiveKey: newKey(),
        databaseName: 'live',
      };
      const context = { store: store(), signal: neverAborted(), say: () => undefined };
      await inFolder((folder) => exportBackup(order, { ...context, folder }));
      const result = openExportResult((await store().get(`${order.prefix}/result`)) ?? Buffer.alloc(0), order);
      const zip = await encryptedStore(store(), Buffer.from(order.archiveKey, 'base64')).get(result.archive.key);
      await mkdir(dataOf('restored'), { recursive: true });
      await writeFile(join(dataOf('restored'), 'ours.zip'), zip ?? '');
      await manager('restored', ['load', 'restored', '/var/lib/odoo/ours.zip']);
      await expectTheSame('restored');
    });

    it('an archive that Odoo’s own database manager made is loaded, and Odoo runs on it', async () => {
      await manager('live', ['dump', 'live', '/var/lib/odoo/theirs.zip']);
      await store().put('imports/newinstance1/theirs.zip', await readFile(join(dataOf('live'), 'theirs.zip')));
      await site.sql('postgres', `create role imported login password 'imported-1'`);
      await site.sql('postgres', 'create database imported owner imported template template0');
      const operationId = randomUUID();
      const order: LoadOrder = {
        version: 1,
        task: 'load',
        instanceId: 'newinstance1',
        operationId,
        attempt: 1,
        store: { kind: 'directory', folder: join(site.folder, 'store') },
        prefix: `loads/newinstance1/${operationId}/1`,
        resultKey: newKey(),
        source: {
          kind: 'odoo-zip',
          key: 'imports/newinstance1/theirs.zip',
          sha256: null,
          encryptionKey: null,
          odooVersion: '19.0',
        },
        database: access('imported', 'imported', 'imported-1'),
        filestore: { folder: join(dataOf('imported'), 'filestore', 'imported'), linkFrom: null },
      };
      const context = { store: store(), signal: neverAborted(), say: () => undefined };
      const result = await inFolder((folder) => load(order, { ...context, folder }));
      expect(result).toMatchObject({ differences: [], odooVersion: expect.stringMatching(/^19\.0\./) });
      expect(result.files).toBeGreaterThanOrEqual(contents.length);
      await givenToOdoo(dataOf('imported'));
      await expectTheSame('imported', { db_user: 'imported', db_password: 'imported-1' });
    });
  },
);
