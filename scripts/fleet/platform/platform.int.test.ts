import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { insertPlacedInstance } from '#shared/adapters/postgres/backup-records.fixture.ts';
import { databaseOfThisFile, dropDatabase, type FreshDatabase } from '#shared/testing/databases.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { runPlatform } from './main.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
const empties: string[] = [];
let folder: string;
const ring = (...ids: string[]) =>
  JSON.stringify({
    current: ids[0],
    keys: Object.fromEntries(ids.map((id) => [id, Buffer.alloc(32, id).toString('base64')])),
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-platform-test-'));
  await mkdir(join(folder, 'store'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  await writeFile(join(folder, 'ring.json'), ring('k2', 'k1'), { mode: 0o600 });
  await insertCatalogue(records());
  await insertServer(records(), { id: 'one', maxInstances: 10 });
  const instanceId = await insertPlacedInstance(records(), 1);
  await records().query(`insert into instance_keys (instance_id, files_key) values ($1, 'w1.k1.${'A'.repeat(80)}')`, [
    instanceId,
  ]);
});
afterAll(async () => {
  for (const database of empties) await dropDatabase(database);
  await rm(folder, { recursive: true });
});

async function emptyDatabase(): Promise<string> {
  const database = `test_${randomBytes(6).toString('hex')}`;
  await asSuperuser(sharedServers().postgres, (client) =>
    client.query(`create database ${database} template template0 owner ${made().user}`),
  );
  empties.push(database);
  return database;
}

async function platform(args: string[], env: Record<string, string> = {}) {
  const { direct, database, user }: FreshDatabase = made();
  const out: string[] = [];
  const errors: string[] = [];
  const code = await runPlatform(
    args,
    {
      PLATFORM_POSTGRES_DIRECT_HOST: direct.host,
      PLATFORM_POSTGRES_DIRECT_PORT: String(direct.port),
      PLATFORM_POSTGRES_DB: database,
      PLATFORM_POSTGRES_USER: user,
      PLATFORM_POSTGRES_PASSWORD_FILE: join(folder, 'password'),
      BACKUP_STORE: join(folder, 'store'),
      BACKUP_KEYS_FILE: join(folder, 'ring.json'),
      ...env,
    },
    { print: (line) => void out.push(line), printError: (line) => void errors.push(line) },
  );
  return { code, out: out.join('\n'), errors: errors.join('\n') };
}

const made1 = async () => (JSON.parse((await platform(['backup', '--json'])).out) as { backup: string }).backup;
const objectOf = (id: string, name: string) => join(folder, 'store', 'platform', id, name);
async function stored(id: string): Promise<string> {
  const texts = await Promise.all(
    (await readdir(join(folder, 'store', 'platform', id))).map((name) => readFile(objectOf(id, name), 'latin1')),
  );
  return texts.join('');
}

test('a backup is made, read to its end and shown; nothing of the records is readable in the store', async () => {
  const backup = await platform(['backup']);
  expect(backup).toMatchObject({ code: 0, errors: '' });
  expect(backup.out).toMatch(
    /^Backup \d{8}T\d{6}Z-[0-9a-f]{8} holds \d+ tables with \d+ rows as of \S+, in \d+ bytes\.$/,
  );
  const check = await platform(['check', '--json']);
  expect(JSON.parse(check.out)).toMatchObject({ ringKeys: ['k1'] });
  expect((await platform(['check', '--max-age', '60'])).code).toBe(0);
  const { backup: id } = JSON.parse(check.out) as { backup: string };
  expect((await platform(['list'])).out.split('\n')[0]).toBe(id);
  expect(await stored(id)).not.toMatch(/customer-|PGDMP|w1\.k1\./);
});

test('a ring that lacks a key something was wrapped with is no ring to be safe with', async () => {
  const id = await made1();
  const other = join(folder, 'other.json');
  await writeFile(other, ring('k2'));
  expect(await platform(['check', id, '--keys', other])).toMatchObject({
    code: 2,
    errors: expect.stringContaining('The key ring lacks k1'),
  });
  await writeFile(other, ring('k3'));
  expect(await platform(['check', id, '--keys', other])).toMatchObject({
    code: 1,
    errors: expect.stringContaining('was not signed with the key "k2"'),
  });
  await writeFile(other, ring('k1', 'k2', 'k3'));
  expect(await platform(['check', id, '--keys', other])).toMatchObject({ code: 0 });
});

test.each([
  ['a bit flipped', 'dump', (bytes: Buffer) => (bytes[bytes.length >> 1] as number) ^ 1, undefined],
  ['the tail cut off', 'dump', undefined, (bytes: Buffer) => bytes.subarray(0, -7)],
  ['nothing left of it', 'dump', undefined, () => Buffer.alloc(0)],
  [
    'another word in it',
    'manifest',
    undefined,
    (bytes: Buffer) => Buffer.from(bytes.toString().replace('"rows":1', '"rows":2')),
  ],
] as const)('one with %s (%s) is found out, and nothing of it is restored', async (_what, name, flip, change) => {
  const id = await made1();
  const bytes = await readFile(objectOf(id, name));
  const flipped = Buffer.from(bytes);
  if (flip !== undefined) flipped[bytes.length >> 1] = flip(bytes);
  await writeFile(objectOf(id, name), change?.(bytes) ?? flipped);
  expect((await platform(['check', id])).code).toBe(1);
  const database = await emptyDatabase();
  const restore = await platform(['restore', id, '--json'], { PLATFORM_POSTGRES_DB: database });
  expect(JSON.parse(restore.out)).toMatchObject({ error: { code: 'damaged' } });
  await asSuperuser(
    sharedServers().postgres,
    async (client) => {
      const { rows } = await client.query(`select relname from pg_class where relnamespace = 'public'::regnamespace`);
      expect(rows).toEqual([]);
    },
    { database },
  );
});

test('a backup is restored whole into an empty database only, which takes no writes then', async () => {
  const id = await made1();
  expect(await platform(['restore', id])).toMatchObject({
    code: 1,
    errors: expect.stringContaining('into an empty one'),
  });
  const database = await emptyDatabase();
  const restore = await platform(['restore', id], { PLATFORM_POSTGRES_DB: database });
  expect(restore).toMatchObject({ code: 0, out: expect.stringContaining('takes no writes yet') });
  const { user, password } = made();
  const own = { database, user, password };
  await asSuperuser(
    sharedServers().postgres,
    async (client) => {
      const { rows } = await client.query('select id from instances');
      expect(rows).toHaveLength(1);
      await expect(client.query('delete from instances')).rejects.toThrow(/read-only/);
    },
    own,
  );
  // it is not rebuilt without having looked at the world
  expect((await platform(['rebuild'], { PLATFORM_POSTGRES_DB: database })).code).not.toBe(0);
});

test('a wrong call is exit code 2', async () => {
  for (const args of [
    [],
    ['backup', 'x'],
    ['restore', 'a', 'b'],
    ['list', '--trial'],
    ['check', '--max-age', 'x'],
    ['list', '--max-age', '5'],
    ['drop'],
    ['--wrong'],
  ]) {
    expect((await platform(args)).code, args.join(' ')).toBe(2);
  }
  expect(await platform(['check', '20261122T060000Z-00000000'])).toMatchObject({ code: 1 });
  expect((await platform(['restore', '../x'], { PLATFORM_POSTGRES_DB: await emptyDatabase() })).code).toBe(1);
  expect((await platform(['--help'])).out).toContain('Usage:');
});
