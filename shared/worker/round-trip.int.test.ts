import { mkdir, mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { type AcceptedBackup, backupOrder, runBackup, runVerify } from './backup.fixture.ts';
import { dropTestDatabase, makeTenant, type Tenant } from './tenant.fixture.ts';

let folder: string;
let store: ObjectStore;
let tenant: Tenant;
let backup: AcceptedBackup;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-round-trip-'));
  store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder);
  backup = await runBackup(backupOrder(tenant), store);
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

describe('a backup', () => {
  it('is proven by restoring it: rows, unicode, bytea, generated columns, sequences, large objects, files', async () => {
    const result = await runVerify(backup, store);
    expect(result).toMatchObject({ differences: [], more: 0, files: 4, backupId: backup.order.backupId });
    expect(result.rows).toBeGreaterThan(500);
  });

  it('says in its manifest what it holds', () => {
    const { content } = backup;
    expect(content).toMatchObject({
      instanceId: tenant.instanceId,
      kind: 'manual',
      odooVersion: '19.0.1.3',
      modules: [
        { name: 'base', version: '19.0.1.3' },
        { name: 'web', version: '19.0.1.0' },
      ],
      previous: null,
      contents: {
        attachments: { count: 6, inFiles: 5, files: 4 },
        largeObjects: { count: 2 },
        schema: { views: 1, functions: 1, triggers: 1 },
        extensions: [{ name: 'pg_trgm' }, { name: 'unaccent' }],
      },
      files: { count: 4, uploaded: { count: 4 } },
    });
    const tables = content.contents.tables.map(({ name, rows }) => `${name} ${rows}`);
    expect(tables).toEqual([
      'public."Odd ""name"", with ünicode" 2',
      'public.ir_attachment 6',
      'public.ir_config_parameter 1',
      'public.ir_module_module 3',
      'public.res_partner 500',
    ]);
    expect(content.contents.hashes.map(({ table }) => table)).toEqual([
      'public.ir_attachment',
      'public.ir_config_parameter',
      'public.ir_module_module',
      'public.res_partner',
    ]);
  });

  it('shows nothing of the customer to who reads the store', async () => {
    const page = await store.list({ prefix: '' });
    const secrets = ['Müller', 'zweites', 'large object', Buffer.from('first').toString('base64')];
    for (const key of page.keys) {
      const bytes = (await store.get(key)) ?? Buffer.alloc(0);
      for (const secret of secrets) expect(bytes.includes(secret), `${secret} in ${key}`).toBe(false);
    }
    expect(page.keys.filter((key) => key.startsWith('files/'))).toHaveLength(4);
  });

  it('brings only the files that are not in the store yet', async () => {
    await tenant.asSuperuser((client) => tenant.attach(client, 'a fifth'));
    const second = await runBackup(backupOrder(tenant, { previous: backup }), store);
    expect(second.content.files).toMatchObject({ count: 5, uploaded: { count: 1 } });
    expect(second.content.previous).toBe(backup.order.backupId);
    // the others are said to be what the first one said
    expect(second.content.files.objects).toEqual(expect.arrayContaining(backup.content.files.objects));
    expect(await runVerify(second, store)).toMatchObject({ differences: [], files: 5 });
  });

  it('reads what lies in the store and is in no backup that it knows of, and writes anew what is damaged', async () => {
    const [broken, whole] = backup.content.files.objects.map(
      ([name]) => `files/${tenant.instanceId}/${name.slice(0, 2)}/${name}`,
    );
    await store.put(broken ?? '', Buffer.alloc(0));
    const before = await store.get(whole ?? '');
    const keys = { ...backup.order.keys };
    const again = await runBackup(backupOrder(tenant, { keys }), store);
    expect(again.content.files.uploaded.count).toBe(1);
    expect(await store.get(whole ?? '')).toEqual(before);
    expect(await runVerify(again, store)).toMatchObject({ differences: [] });
    // the older backup has its file again
    expect(await runVerify(backup, store)).toMatchObject({ differences: [] });
  });
});

describe('no backup is made', () => {
  const failed = async (change: () => Promise<() => Promise<unknown>>) => {
    const undo = await change();
    const order = backupOrder(tenant);
    try {
      await runBackup(order, store);
    } catch (error) {
      const { keys } = await store.list({ prefix: `${order.prefix}/manifest` });
      expect(keys).toEqual([]);
      return error instanceof Error ? error.message : String(error);
    } finally {
      await undo();
    }
    throw new Error('it was made');
  };
  const withRow = (file: string) => async () => {
    const made = 'INSERT INTO ir_attachment (name, store_fname) VALUES ($1, $2)';
    await tenant.asSuperuser((client) => client.query(made, ['odd', file]));
    return () => tenant.asSuperuser((client) => client.query(`DELETE FROM ir_attachment WHERE name = 'odd'`));
  };

  it.each(['../../etc/passwd', '/etc/passwd', `bb/${'a'.repeat(40)}`, 'aa/..', ''])(
    'when an attachment names the file %j',
    async (file) => {
      expect(await failed(withRow(file))).toMatch(/not a name that Odoo gives/);
    },
  );

  it('when a file is a link: the order itself could be behind it', async () => {
    const secret = join(folder, 'order.json');
    await writeFile(secret, 'secret');
    const file = `aa/${'a'.repeat(40)}`;
    const path = join(tenant.filestore, file);
    await mkdir(join(tenant.filestore, 'aa'), { recursive: true });
    await symlink(secret, path);
    const message = await failed(withRow(file));
    await unlink(path);
    expect(message).toMatch(/is a link or no file/);
  });
});
