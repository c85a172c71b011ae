import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { openLoadResult } from '#shared/domain/backup/load-result.ts';
import type { DatabaseAccess, LoadOrder } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { breakingStore, fullStore, losingStore, refusingStore, slowStore } from '#shared/testing/faulty-store.ts';
import { type AcceptedBackup, backupOrder, neverAborted, runBackup } from './backup.fixture.ts';
import { failureOf, loadOrder, runLoad } from './load.fixture.ts';
import { withSession } from './session.ts';
import { dropTestDatabase, makeTenant, makeVerificationDatabase, type Tenant } from './tenant.fixture.ts';

const program = fileURLToPath(new URL('./main.ts', import.meta.url));
let folder: string;
let store: ObjectStore;
let tenant: Tenant;
let backup: AcceptedBackup;
let database: DatabaseAccess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-load-faults-'));
  store = openDirectoryStore(join(folder, 'store'));
  tenant = await makeTenant(folder, { partners: 5_000 });
  backup = await runBackup(backupOrder(tenant, { store: { kind: 'directory', folder: join(folder, 'store') } }), store);
});
beforeEach(async () => {
  database = await makeVerificationDatabase();
  onTestFinished(() => dropTestDatabase(database));
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

const isDump = (key: string) => key === backup.content.dump.key;
const isFile = (key: string) => key.startsWith('files/');
const isResult = (key: string) => key.endsWith('/result');
const ofLoad = (key: string) => key.startsWith('loads/');

let loads = 0;
function order(): LoadOrder {
  loads += 1;
  return loadOrder(backup, { database, folder: join(folder, 'filestore', `load_${tenant.instanceId}_a_${loads}`) });
}

async function tablesLoaded(): Promise<number> {
  const text = `SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = 'public'`;
  return await withSession(database, neverAborted(), async (client) => (await client.query(text)).rows[0]?.n);
}

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

async function expectNoResult({ prefix }: LoadOrder): Promise<void> {
  expect(await store.head(`${prefix}/result`)).toBeUndefined();
}

describe('a load while the object store fails', () => {
  it.each([
    ['for the manifest', (key: string) => key === backup.manifest.key],
    ['for the dump', isDump],
    ['for files', isFile],
  ])('ends as an outage when it cannot be reached %s, not with a verdict on the backup', async (_what, isMeant) => {
    const given = order();
    const failing = refusingStore(store, isMeant);
    expect(await failureOf(runLoad(given, failing.store))).toMatchObject({ code: 'unavailable' });
    expect(failing.refused()).toBeGreaterThan(0);
    await expectNoResult(given);
  });

  it.each([
    ['the dump', isDump, 0],
    ['a file', isFile, 5],
  ])('does so when it closes the connection in the middle of %s', async (_what, isMeant, tables) => {
    const given = order();
    expect(await failureOf(runLoad(given, breakingStore(store, isMeant)))).toMatchObject({ code: 'unavailable' });
    await expectNoResult(given);
    // one transaction: all of the dump, or nothing
    expect(await tablesLoaded()).toBe(tables);
  });

  it('goes on when it refuses single calls', async () => {
    const failing = refusingStore(store, (key) => isFile(key) || isResult(key), { calls: 3 });
    expect(await runLoad(order(), failing.store)).toMatchObject({ differences: [], files: 4 });
    expect(failing.refused()).toBe(3);
  });

  it('is right when it is slow', async () => {
    expect(await runLoad(order(), slowStore(store, 50))).toMatchObject({ differences: [], files: 4 });
  });

  it.each([
    ['the dump', isDump],
    ['files', isFile],
  ])(
    'finds out that it answers 200 and loses the end of %s, and leaves none of it on the volume',
    async (_what, isMeant) => {
      const given = order();
      const { differences } = await runLoad(given, losingStore(store, isMeant));
      expect(differences.length).toBeGreaterThan(0);
      expect(await isThere(given.filestore.folder)).toBe(false);
    },
  );

  it('has no result when it is full, and none that could be taken for one when it loses its end', async () => {
    const given = order();
    expect(await failureOf(runLoad(given, fullStore(store, ofLoad)))).toMatchObject({ code: 'no-capacity' });
    await expectNoResult(given);
    expect(await isThere(given.filestore.folder)).toBe(false);
    await dropTestDatabase(database);
    database = await makeVerificationDatabase();
    const losing: ObjectStore = {
      ...store,
      put: (key, bytes, options) => store.put(key, isResult(key) ? bytes.subarray(0, -30) : bytes, options),
    };
    expect(await failureOf(runLoad(order(), losing))).toMatchObject({ code: 'damaged' });
  });
});

describe('a disk that is full', () => {
  /** On a volume of its own beside the live files: what the program says, as the Job runs it, and what is there after it. */
  async function onVolume(kib: number, { isLinking }: { isLinking: boolean }) {
    const own = await mkdtemp(join(folder, 'job-'));
    const volume = join(own, 'volume');
    const at = (name: string) => join(volume, 'filestore', name);
    const live = at(`odoo_${tenant.instanceId}`);
    const to = { database, folder: at(`load_${tenant.instanceId}_a_1`), ...(isLinking && { linkFrom: live }) };
    const given = loadOrder(backup, to);
    await writeFile(join(own, 'order.json'), JSON.stringify(given));
    const script = `mkdir volume && mount -t tmpfs -o size=${kib}k tmpfs volume && mkdir volume/filestore || exit 9
      cp -a "$1" volume/filestore/ || exit 9
      "$2" "$3" order.json 2> said; echo $? > code
      { cd volume && head -c 4096 /dev/zero > new && find . -type f -print0 | xargs -0 sha1sum; } > found`;
    const args = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
    const env = { PATH: process.env['PATH'] ?? '', TMPDIR: own };
    await promisify(execFile)('unshare', [...args, tenant.filestore, process.execPath, program], { env, cwd: own });
    const [code = '', said = '', found = ''] = await Promise.all(
      ['code', 'said', 'found'].map(async (name) => (await readFile(join(own, name), 'utf8')).trim()),
    );
    const files = found.split('\n').map((line) => line.split('  ') as [sha1: string, path: string]);
    return { given, code, last: said.split('\n').at(-1), files };
  }

  it('on the volume of the instance: the load ends, takes away its own, and leaves room for what is live', async () => {
    const { given, code, last, files } = await onVolume(1_100, { isLinking: false });
    expect({ code, last }).toEqual({
      code: '1',
      last: expect.stringMatching(/^no-capacity: The instance's volume is full/),
    });
    await expectNoResult(given);
    const stored = files.filter(([, path]) => path !== './new');
    expect(stored).toHaveLength(4);
    // Odoo's files are where they were, under their sha1, and something more could be written
    for (const [sha1, path] of stored) expect(path).toMatch(new RegExp(`/odoo_${tenant.instanceId}/../${sha1}$`));
    expect(files).toHaveLength(5);
  });

  it('is none where equal files are there to be linked', async () => {
    const { given, code, files } = await onVolume(1_100, { isLinking: true });
    expect(code).toBe('0');
    expect(openLoadResult((await store.get(`${given.prefix}/result`)) ?? Buffer.alloc(0), given)).toMatchObject({
      ...{ differences: [], files: 4, linked: 4 },
    });
    expect(files).toHaveLength(9);
  });

  it('of PostgreSQL is told as such, and is no verdict on the backup', async () => {
    const text = 'could not extend file "base/1/2": No space left on device';
    const raise = `CREATE FUNCTION full_disk() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
      IF current_user ~ '^verify' THEN RAISE EXCEPTION '${text}' USING ERRCODE = '53100'; END IF; RETURN true; END $$;
      CREATE TABLE grows (n int CHECK (full_disk())); INSERT INTO grows VALUES (1)`;
    await tenant.asSuperuser((client) => client.query(`SET ROLE odoo_${tenant.instanceId}; ${raise}`));
    const grown = await runBackup(backupOrder(tenant), store);
    const given = loadOrder(grown, { database, folder: join(folder, 'filestore', `load_${tenant.instanceId}_b_1`) });
    const failure = await failureOf(runLoad(given, store));
    expect(failure).toMatchObject({ code: 'unavailable' });
    expect(failure.message).toContain('No space left on device');
    await expectNoResult(given);
    expect(await tablesLoaded()).toBe(0);
  });
});
