import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import type { DatabaseAccess, LoadOrder } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { inFolder, neverAborted } from './backup.fixture.ts';
import { attachedFiles } from './contents.ts';
import { load } from './load.ts';
import { archiveOf, manifestJson } from './odoo-archive.fixture.ts';
import { withSession } from './session.ts';
import { dropTestDatabase, makeTenant, makeVerificationDatabase, type Tenant } from './tenant.fixture.ts';

let folder: string;
let store: ObjectStore;
let tenant: Tenant;
let dump: string;
let files: Record<string, Buffer>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-load-zip-'));
  store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder, { partners: 200 });
  const { host, port, user, database, password } = tenant.access;
  const address = ['--host', host, '--port', String(port), '--username', user];
  const made = await promisify(execFile)('pg_dump', ['--no-owner', ...address, database], {
    env: { PATH: process.env['PATH'] ?? '', PGPASSWORD: password },
    maxBuffer: 100_000_000,
  });
  // the tenant's database has grants to roles that are nowhere else, as the platform leaves it
  dump = made.stdout.replaceAll(/^(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) .*$/gm, '');
  const attached = await tenant.asSuperuser((client) => attachedFiles(client));
  const contents = attached.map(async ({ file }) => [
    `filestore/${file}`,
    await readFile(join(tenant.filestore, file)),
  ]);
  files = Object.fromEntries(await Promise.all(contents));
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

const whole = () => ({ 'dump.sql': dump, ...files, 'manifest.json': manifestJson() });

type Ran = { result: Awaited<ReturnType<typeof load>> | { error: unknown }; tables: number; left: string[] };

/** Loads the zip into a database of its own, and says what is there afterwards. */
async function ran(zip: Buffer, source: { sha256?: string; mostBytes?: number } = {}): Promise<Ran> {
  const database = await makeVerificationDatabase();
  const key = `imports/newinstance1/${randomUUID()}`;
  await store.put(key, zip);
  const own = await mkdtemp(join(folder, 'volume-'));
  const order = orderOf(key, database, own);
  try {
    const filled = { ...order, source: { ...order.source, ...source } } as LoadOrder;
    const result = await inFolder((temporary) =>
      load(filled, { store, folder: temporary, signal: neverAborted(), say: () => undefined }),
    ).catch((error: unknown) => ({ error }));
    const { rows } = await withSession(database, neverAborted(), (client) =>
      client.query<{ tables: number }>(`SELECT count(*)::int AS tables FROM pg_tables WHERE schemaname = 'public'`),
    );
    return { result, tables: rows[0]?.tables ?? 0, left: await readdir(own) };
  } finally {
    await dropTestDatabase(database);
  }
}

function orderOf(key: string, database: DatabaseAccess, volume: string): LoadOrder {
  const operationId = randomUUID();
  return {
    version: 1,
    task: 'load',
    instanceId: 'newinstance1',
    operationId,
    attempt: 1,
    store: { kind: 'directory', folder: join(folder, 'store') },
    prefix: `loads/newinstance1/${operationId}/1`,
    resultKey: randomBytes(32).toString('base64'),
    source: { kind: 'odoo-zip', key, sha256: null, encryptionKey: null, odooVersion: '19.0' },
    database,
    filestore: { folder: join(volume, 'odoo_newinstance1'), linkFrom: null },
  };
}

describe('a zip of Odoo’s', () => {
  it('is loaded whole, as pg_dump wrote it', async () => {
    const { result, tables, left } = await ran(await archiveOf(whole()));
    expect(result).toMatchObject({ differences: [], files: 4, odooVersion: '19.0.1.3', modules: [{}, {}] });
    expect(tables).toBe(5);
    expect(left).toEqual(['odoo_newinstance1']);
  });

  it('is loaded without the restriction that newer programs write, and with what older servers do not know', async () => {
    const older = dump
      .replaceAll(/^\\(un)?restrict .*$/gm, '')
      .replace(/^SET lock_timeout = 0;$/m, '$&\nSET transaction_timeout = 0;');
    expect(older).not.toContain('restrict ');
    expect((await ran(await archiveOf({ ...whole(), 'dump.sql': older }))).result).toMatchObject({ differences: [] });
  });

  it('is refused when it is of another Odoo, by its manifest or by its database, which is left empty by the first', async () => {
    const text = 'The archive holds Odoo 16.0; the image runs Odoo 19.0.';
    const told = await ran(await archiveOf({ ...whole(), 'manifest.json': manifestJson({ major_version: '16.0' }) }));
    expect(told).toMatchObject({
      tables: 0,
      result: { error: { code: 'invalid-request', message: expect.stringContaining(text) } },
    });
    const sql = dump.replace('19.0.1.3', '16.0.1.3');
    const found = await ran(await archiveOf({ ...whole(), 'dump.sql': sql }));
    expect(found.result).toMatchObject({ error: { message: expect.stringContaining(text) } });
    const none = await ran(await archiveOf({ ...whole(), 'manifest.json': '{"odoo_dump":"1"}' }));
    expect(none.result).toMatchObject({ error: { message: expect.stringContaining('manifest.json') } });
  });

  it('is loaded without files that were lost before, if they are few, and not when a file is another', async () => {
    const [first = '', second = ''] = Object.keys(files).filter((name) => (files[name]?.length ?? 0) > 0);
    const { [first]: _, ...others } = files;
    const zip = await archiveOf({ ...whole(), ...others, [second]: 'another', [first]: 'x' });
    const { result } = await ran(zip);
    expect(result).toMatchObject({
      files: 2,
      differences: [expect.stringContaining('another file'), expect.stringContaining('another file')],
    });
    const without = await ran(await archiveOf({ 'dump.sql': dump, ...others, 'manifest.json': manifestJson() }));
    expect(without.result).toMatchObject({ differences: [], files: 3, lost: 1 });
  });

  it('has a difference when it has no filestore', async () => {
    const named = Array.from({ length: 30 }, (_, at) => at.toString(16).padStart(40, '0'));
    const rows = named.map((sha1, at) => `${1_000 + at}\ta file\t00/${sha1}\t${sha1}\t1\t\\N`).join('\n');
    const sql = dump.replace(/^(COPY public\.ir_attachment .*)$/m, (line) => `${line}\n${rows}`);
    const { result } = await ran(await archiveOf({ 'dump.sql': sql, 'manifest.json': manifestJson() }));
    expect(result).toMatchObject({ files: 0, differences: [expect.stringContaining('with its filestore')] });
  });

  it.each([
    ['a shell', (mark: string) => `\\! touch ${mark}`],
    ['a shell behind a right one', (mark: string) => `SELECT 1; \\! touch ${mark}`],
    ['a file for what is selected', (mark: string) => `\\o ${mark}\nSELECT 1;`],
    ['a program for COPY', (mark: string) => `\\copy (SELECT 1) TO PROGRAM 'touch ${mark}'`],
    ['the server’s own programs', (mark: string) => `COPY (SELECT 1) TO PROGRAM 'touch ${mark}';`],
    ['the end of the restriction', (mark: string) => `\\unrestrict abc\n\\! touch ${mark}`],
    ['another statement that fails', () => 'SELECT 1 / 0;'],
  ])('cannot use %s: nothing of it is loaded', async (_, statement) => {
    const mark = join(folder, `mark-${randomUUID()}`);
    const sql = dump.replace(/^CREATE TABLE/m, `${statement(mark)}\nCREATE TABLE`);
    const { result, tables } = await ran(await archiveOf({ ...whole(), 'dump.sql': sql }));
    expect(result).toMatchObject({ error: { code: 'invalid-request' } });
    expect(tables).toBe(0);
    await expect(access(mark)).rejects.toThrow();
  });

  it.each([0.1, 0.5, 0.9, 0.99])(
    'is damaged when its dump was cut after %d of it, and nothing is loaded',
    async (part) => {
      const sql = dump.slice(0, Math.floor(dump.length * part));
      const { result, tables } = await ran(await archiveOf({ ...whole(), 'dump.sql': sql }));
      expect(result).toMatchObject({ error: { code: 'damaged' } });
      expect(tables).toBe(0);
    },
  );

  it('is refused when its database gets larger than it may, which is ended while it grows', async () => {
    const rows = `INSERT INTO public.grows SELECT repeat('x', 2000) FROM generate_series(1, 10000000);`;
    const sql = dump.replace(/^CREATE TABLE/m, `CREATE TABLE public.grows (t text);\n${rows}\nCREATE TABLE`);
    const zip = await archiveOf({ ...whole(), 'dump.sql': sql });
    const { result, tables } = await ran(zip, { mostBytes: 50_000_000 });
    expect(result).toMatchObject({
      error: { code: 'invalid-request', message: expect.stringContaining('Choose a larger plan') },
    });
    expect(tables).toBe(0);
    const right = await ran(await archiveOf(whole()), { mostBytes: 50_000_000 });
    expect(right.result).toMatchObject({ differences: [] });
  });

  it('is damaged when it is another one than was uploaded', async () => {
    const { result, left } = await ran(await archiveOf(whole()), { sha256: 'a'.repeat(64) });
    expect(result).toMatchObject({ error: { code: 'damaged', message: expect.stringContaining('sha256') } });
    expect(left).toEqual([]);
  });
});
