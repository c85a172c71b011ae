import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { insertOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { aboutKey, openUpload } from '#shared/domain/backup/upload.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { openBackupKeys } from '#shared/runtime/backup-keys.ts';
import { backups } from '#shared/runtime/backup-rows.ts';
import { openBackupStore } from '#shared/runtime/backup-store.ts';
import { parseConfig } from '#shared/runtime/config.ts';
import { insertCatalogue, insertTestInstance } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { dropTestDatabase, makeTenant, type Tenant } from '#shared/worker/tenant.fixture.ts';
import { type Adopting, adopt } from './adopt.ts';
import type { Given } from './requests.ts';

const platform = platformOfThisFile();
let folder: string;
let tenant: Tenant;
let asked: [string, Given][];
let errors: string[];
const config = () =>
  parseConfig(backups, { BACKUP_STORE: join(folder, 'store'), BACKUP_KEYS_FILE: join(folder, 'ring') });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-adopt-test-'));
  await insertCatalogue(platform());
  tenant = await makeTenant(folder, { partners: 50 });
  await writeFile(join(folder, 'password'), `${tenant.access.password}\n`);
  const ring = { current: 'k1', keys: { k1: randomBytes(32).toString('base64') } };
  await writeFile(join(folder, 'ring'), JSON.stringify(ring));
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  [asked, errors] = [[], []];
});

const row = (change: object = {}) => ({
  id: randomUUID(),
  customer_id: randomUUID(),
  name: 'Acme',
  odoo_version: '19.0',
  status: 'paused',
  admin_email: 'owner@acme.example',
  database_name: 'acme',
  db_name: tenant.access.database,
  db_host: tenant.access.host,
  db_port: tenant.access.port,
  cpu_limit: 0.1,
  ...change,
});

async function run(rows: unknown, change: Partial<Adopting> = {}) {
  const file = join(folder, 'rows.json');
  await writeFile(file, typeof rows === 'string' ? rows : JSON.stringify(rows));
  return await adopt(file, {
    database: platform(),
    screen: { print: () => undefined, printError: (line) => void errors.push(line) },
    config: config(),
    older: { host: null, user: tenant.access.user, passwordFile: join(folder, 'password'), sslMode: 'disable' },
    filestores: join(folder, 'filestore'),
    whileRunning: false,
    isDry: false,
    async request(kind, given) {
      asked.push([kind, given]);
      return { json: {}, lines: [] };
    },
    ...change,
  });
}

describe('adopting the older platform’s instances', () => {
  it('packs each, uploads it encrypted, asks for its import, and for what it was', async () => {
    const done = await run([row(), row({ status: 'terminated' }), row({ database_name: 'other', status: 'error' })]);
    expect(done.lines.map((line) => line.split('  ')[2])).toEqual([
      'imported as acme, then: suspend',
      'skipped: it is terminated',
      'imported as other',
    ]);
    expect(asked.map(([kind]) => kind)).toEqual(['import', 'suspend', 'import']);
    const { instance, from } = (asked[0]?.[1] ?? {}) as { instance: string; from: { key: string } };
    const store = openBackupStore(config());
    const about = (await store.get(aboutKey(from.key))) ?? Buffer.alloc(0);
    const upload = await openUpload(about, { key: from.key, instanceId: instance }, openBackupKeys(config()));
    expect(upload.bytes).toBeGreaterThan(1_000);
    expect((await store.get(from.key))?.includes('dump.sql')).toBe(false);
    expect(asked[1]?.[1]).toEqual({ instance, cause: 'billing' });
  });

  it('leaves what runs there alone, unless it is told to rehearse', async () => {
    const running = row({ status: 'running' });
    expect((await run([running])).lines).toEqual([expect.stringContaining('skipped: it runs there')]);
    expect(asked).toEqual([]);
    expect((await run([running], { whileRunning: true })).lines).toEqual([expect.stringContaining('imported as')]);
  });

  it('asks again for what follows when it is here already, and says when its import has failed', async () => {
    const paused = row();
    const id = deriveInstanceId('older-platform', paused.id);
    await insertTestInstance(platform(), id);
    const operation = { id: newOperationId(), instanceId: id, kind: 'import', definitionVersion: 1 } as const;
    const rest = { deadlineMs: 60_000, idempotencyKey: 'x', requestedBy: 'x', cause: 'x', request: {} };
    await insertOperation(platform(), { ...operation, ...rest });
    expect((await run([paused])).lines).toEqual([expect.stringContaining('failed: its import is queued')]);
    await platform().query(
      `update operations set state = 'succeeded', next_check_at = null, finished_at = now() where id = $1`,
      [operation.id],
    );
    expect((await run([paused])).lines).toEqual([expect.stringContaining('is here already, then: suspend')]);
    expect(asked).toEqual([['suspend', { instance: id, cause: 'billing' }]]);
    const refusing = { request: async () => ({ json: {}, lines: ['refused'], isDone: false }) };
    expect(await run([paused], refusing)).toMatchObject({ isDone: false });
    // suspended as asked, paid, resumed: weeks later another go leaves it alone
    await insertOperation(platform(), {
      ...operation,
      ...rest,
      id: newOperationId(),
      kind: 'resume',
      idempotencyKey: 'y',
    });
    asked = [];
    expect((await run([paused])).lines).toEqual([expect.stringMatching(/is here already$/)]);
    expect(asked).toEqual([]);
  });

  it('does nothing when it is only to say what it would do', async () => {
    const done = await run([row()], { isDry: true });
    expect(done.lines).toEqual([expect.stringContaining('would be imported as acme with plan')]);
    expect(asked).toEqual([]);
  });

  it('goes on with the next when one fails, and says so by its end', async () => {
    const done = await run([row({ db_name: 'nowhere' }), row()]);
    expect(done).toMatchObject({ isDone: false });
    expect(done.lines).toEqual([expect.stringContaining('failed: '), expect.stringContaining('imported as acme')]);
    expect(done.lines.join()).not.toContain(tenant.access.password);
  });

  it('tells of files that are lost there, and brings the rest', async () => {
    const gone = `${tenant.filestore}-elsewhere`;
    await rename(tenant.filestore, gone);
    const done = await run([row()]);
    await rename(gone, tenant.filestore);
    expect(done.lines).toEqual([expect.stringContaining('imported')]);
    expect(errors).toHaveLength(4);
  });

  it('refuses a file that holds no such rows', async () => {
    await expect(run('{"id": 1}')).rejects.toMatchObject({ code: 'misconfigured' });
    await expect(run([{ id: 'x' }])).rejects.toThrow('json_agg');
  });
});
