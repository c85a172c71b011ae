import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import { storedFileKey, storedFileName } from '#shared/domain/backup/manifest.ts';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { templateBuildCommand } from '#shared/domain/odoo/template-build.ts';
import { realOdooImage } from '#shared/sandbox/odoo/odoo-image.ts';
import { findProgram } from '#shared/sandbox/packages.ts';
import { jsonRpc, type OdooSite, oldHash, openOdooSite, type Served } from '#shared/testing/contracts/odoo-site.ts';
import { type AcceptedBackup, backupOrder, runBackup, runVerify } from './backup.fixture.ts';

const canRun = process.getuid?.() === 0 || (await findProgram('odoo')) !== undefined;
// in CI it runs anyway, and fails with the reason
const isSkipped = !canRun && process.env['CI'] !== 'true';

describe.skipIf(isSkipped)(
  isSkipped ? 'not run: no odoo on PATH, and only root can install it from packages' : '',
  () => {
    const names = ['Größe & Söhne', '株式会社 🐘', 'O\'Reilly; "quoted" \\ back', 'عميل'];
    const contents = [Buffer.from('a small file: ünïcode'), randomBytes(300_000), Buffer.from('%PDF-1.4 not really')];
    let site: OdooSite;
    let live: Served;
    let backup: AcceptedBackup;
    let attachments: number[];
    const store = () => openDirectoryStore(join(site.folder, 'store'));
    const access = (database: string, user: string): DatabaseAccess => {
      const { host, port } = site.postgres;
      return { host, port, user, password: `${user}-password`, database, sslMode: 'disable' };
    };
    const call = (one: Served, database: string, model: string, method: string, args: unknown[]) =>
      jsonRpc(one.url, 'object', 'execute_kw', [database, 2, 'the password', model, method, args]);

    async function served(database: string, settings: Record<string, string> = {}): Promise<Served> {
      const data = join(site.folder, `data-${database}`);
      const one = await site.serve(database, settings, { data });
      const health = async () => expect((await fetch(`${one.url}/web/health`)).status).toBe(200);
      await vi.waitFor(health, { timeout: 120_000, interval: 100 });
      return one;
    }

    beforeAll(async () => {
      site = await openOdooSite(await realOdooImage());
      await site.createDatabase('live');
      const built = await site.run('live', templateBuildCommand({ database: 'live', modules: [], language: 'en_US' }));
      expect(built.code, built.output).toBe(0);
      await site.sql('live', `update res_users set password = '${oldHash('the password')}' where id = 2`);
      live = await served('live');
      for (const name of names)
        expect(await call(live, 'live', 'res.partner', 'create', [{ name }])).toBeGreaterThan(0);
      const made = contents.map((bytes, at) => ({ name: `file ${at}`, datas: bytes.toString('base64') }));
      attachments = (await call(live, 'live', 'ir.attachment', 'create', [made])) as number[];
      expect(attachments).toHaveLength(contents.length);
      await site.sql('live', `set role tenant; select lo_from_bytea(0, decode(repeat('00ff', 200000), 'hex'))`);
      await site.sql('postgres', `create role backup login password 'backup-password' in role tenant`);
      await site.sql('postgres', 'alter role backup set default_transaction_read_only = on');
      const filestore = join(site.folder, 'data-live', 'filestore', 'live');
      const tenant = { instanceId: 'abcdefghijkl', access: access('live', 'backup'), filestore };
      // while Odoo runs
      backup = await runBackup(backupOrder(tenant), store());
    });
    afterAll(async () => {
      await site?.close();
    });

    it('the real Odoo is backed up while it runs, and its backup is proven', async () => {
      expect(backup.content).toMatchObject({ odooVersion: expect.stringMatching(/^19\.0\./), files: { count: 3 } });
      expect(backup.content.modules.map(({ name }) => name)).toContain('web');
      expect(backup.content.contents.largeObjects.count).toBe(1);
      await site.sql('postgres', `create role restored login password 'restored-password'`);
      await site.sql('postgres', 'create database restored owner restored template template0');
      const result = await runVerify(backup, store(), { database: access('restored', 'restored') });
      expect(result).toMatchObject({ differences: [], files: 3 });
      expect(result.tables).toBeGreaterThan(80);
    });

    it('Odoo runs on what was restored: health, rows, unicode, attachments byte for byte', async () => {
      await restoreFiles(join(site.folder, 'data-restored', 'filestore', 'restored'));
      const restored = await served('restored', { db_user: 'restored', db_password: 'restored-password' });
      for (const model of ['res.partner', 'ir.attachment', 'ir.ui.view', 'ir.model.fields']) {
        const count = await call(restored, 'restored', model, 'search_count', [[]]);
        expect(count, model).toBeGreaterThan(0);
        if (model !== 'ir.attachment') expect(await call(live, 'live', model, 'search_count', [[]]), model).toBe(count);
      }
      const found = (await call(restored, 'restored', 'res.partner', 'search_read', [
        [['name', 'in', names]],
        ['name'],
      ])) as {
        name: string;
      }[];
      expect(found.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
      const read = (await call(restored, 'restored', 'ir.attachment', 'read', [
        attachments,
        ['datas', 'checksum'],
      ])) as {
        datas: string;
        checksum: string;
      }[];
      expect(read.map(({ checksum }) => checksum)).toEqual(contents.map(sha1Of));
      expect(read.map(({ datas }) => sha1Of(Buffer.from(datas, 'base64')))).toEqual(contents.map(sha1Of));
      await restored.stop();
    });

    /** What a restore does with the files, for this test. */
    async function restoreFiles(folder: string): Promise<void> {
      const filesKey = Buffer.from(backup.order.keys.files, 'base64');
      const files = encryptedStore(store(), filesKey);
      for (const bytes of contents) {
        const sha1 = sha1Of(bytes);
        const content = await files.get(storedFileKey('abcdefghijkl', storedFileName(filesKey, sha1)));
        const file = join(folder, sha1.slice(0, 2), sha1);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, content ?? '');
        expect(await readFile(file)).toEqual(bytes);
      }
      const image = await realOdooImage();
      if (image.kind !== 'root') return;
      const { uid, gid } = image.user;
      await promisify(execFile)('chown', ['-R', `${uid}:${gid}`, join(folder, '..', '..')]);
      await chown(folder, uid, gid);
    }
  },
);

function sha1Of(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}
