import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type MigrateOptions, migrate } from '#shared/adapters/postgres/migrate.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { bundleMigration } from './build/migration.ts';
import { runMigrate } from './migrate.ts';

let folder: string;
let passwordFile: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'migrate-'));
  passwordFile = join(folder, 'password');
  await writeFile(passwordFile, `${sharedServers().postgres.superuserPassword}\n`, { mode: 0o600 });
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const environmentOf = (target: MigrateOptions) => ({
  PLATFORM_POSTGRES_DIRECT_HOST: target.host,
  PLATFORM_POSTGRES_DIRECT_PORT: String(target.port),
  PLATFORM_POSTGRES_DB: target.database,
  PLATFORM_POSTGRES_USER: target.user,
  PLATFORM_POSTGRES_PASSWORD_FILE: passwordFile,
});

const source = join(import.meta.dirname, 'migrate.ts');

async function runProgram(target: MigrateOptions, program = source) {
  const child = spawn(process.execPath, [program, '--json'], { env: environmentOf(target) });
  const [out, errors, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('exit', resolve)),
  ]);
  return { out, errors, code };
}

async function withClient<Result>(target: MigrateOptions, work: (client: Client) => Promise<Result>): Promise<Result> {
  const { host, port, database, user, password } = target;
  const client = new Client({ host, port, database, user, password });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function asSuperuser(database: string): MigrateOptions {
  const { host, port, superuser, superuserPassword } = sharedServers().postgres;
  return { host, port, database, user: superuser, password: superuserPassword };
}

async function emptyDatabase(): Promise<MigrateOptions> {
  const name = `empty_${randomBytes(6).toString('hex')}`;
  await withClient(asSuperuser('postgres'), (client) => client.query(`create database ${name}`));
  return asSuperuser(name);
}

const migrations = join(import.meta.dirname, '../shared/adapters/postgres/migrations');
const all = (await readdir(migrations)).map((name) => name.replace(/\.sql$/, '')).toSorted();

test('its bundle needs nothing but Node: it brings an empty database up to date, once', async () => {
  const target = await emptyDatabase();
  const bundle = join(folder, 'bundle');
  await bundleMigration(bundle);
  const [first, second] = [
    await runProgram(target, join(bundle, 'main.js')),
    await runProgram(target, join(bundle, 'main.js')),
  ];
  expect(first).toMatchObject({ code: 0 });
  expect(JSON.parse(first.out)).toMatchObject({ applied: all });
  expect(JSON.parse(second.out)).toMatchObject({ applied: [] });
});

test('three processes at once: one migrates, two find nothing to do', async () => {
  const target = await emptyDatabase();
  const runs = await Promise.all([runProgram(target), runProgram(target), runProgram(target)]);
  expect(runs.map(({ code, errors }) => (code === 0 ? 0 : errors))).toEqual([0, 0, 0]);
  const applied = runs.map(({ out }) => JSON.parse(out).applied).sort((a, b) => b.length - a.length);
  expect(applied).toEqual([all, [], []]);
});

test('a process that comes second says that it waits, and for whom', async () => {
  const target = await emptyDatabase();
  const lines: string[] = [];
  await withClient(target, async (first) => {
    await first.query('select pg_advisory_lock(7241865325823964)');
    const second = migrate({ ...target, onProgress: (line) => lines.push(line) });
    await vi.waitFor(() => expect(lines).toEqual([expect.stringContaining('another process')]), 15_000);
    await first.query('select pg_advisory_unlock(7241865325823964)');
    expect(await second).toEqual({ applied: all });
  });
});

test('a process that dies in the middle leaves nothing, and the next one starts from there', async () => {
  const target = await emptyDatabase();
  // holds back the very statement that notes the migration: everything before it has run by then
  await withClient(target, async (blocker) => {
    await blocker.query(
      'create table schema_migrations (id serial primary key, name varchar(255) not null, run_on timestamp not null)',
    );
    await blocker.query('begin');
    await blocker.query('lock table schema_migrations in share mode');
    const dying = migrate(target);
    dying.catch(() => undefined);
    const pid = await vi.waitFor(async () => {
      // not the blocker: what it sees of others stands still within its transaction
      const { rows } = await withClient(asSuperuser('postgres'), (other) =>
        other.query(
          "select pid from pg_stat_activity where application_name = 'fleet-migrate' and wait_event = 'relation' and datname = $1",
          [target.database],
        ),
      );
      return rows[0]?.pid ?? expect.fail('it does not wait yet');
    }, 15_000);
    await blocker.query('select pg_terminate_backend($1, 5000)', [pid]);
    await expect(dying).rejects.toMatchObject({ code: 'unavailable' });
    await blocker.query('rollback');
    expect((await blocker.query("select to_regclass('instances') as found")).rows).toEqual([{ found: null }]);
  });
  expect(await migrate(target)).toEqual({ applied: all });
});

test('a lock that somebody holds for long is a conflict, and nothing was changed', async () => {
  const target = await emptyDatabase();
  await withClient(target, async (holder) => {
    await holder.query(
      'create table schema_migrations (id serial primary key, name varchar(255) not null, run_on timestamp not null)',
    );
    await holder.query('begin');
    await holder.query('lock table schema_migrations in share mode');
    await expect(migrate(target)).rejects.toMatchObject({ code: 'conflict' });
    expect((await holder.query("select to_regclass('instances') as found")).rows).toEqual([{ found: null }]);
  });
});

test('a database that holds something else in the way says what, and stays as it was', async () => {
  const target = await emptyDatabase();
  await withClient(target, async (client) => {
    await client.query('create table inbox (anything integer)');
    await expect(migrate(target)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('relation "inbox" already exists'),
    });
    expect((await client.query("select to_regclass('instances') as found")).rows).toEqual([{ found: null }]);
  });
});

test('the program says what it did in a line, or what to change', async () => {
  const target = await emptyDatabase();
  const print = vi.fn<(line: string) => void>();
  const printError = vi.fn<(line: string) => void>();
  expect(await runMigrate([], environmentOf(target), { print, printError })).toBe(0);
  expect(await runMigrate([], environmentOf(target), { print, printError })).toBe(0);
  expect(print.mock.calls).toEqual([
    [expect.stringMatching(new RegExp(`^${all.length} migrations applied in `))],
    ['The schema is up to date.'],
  ]);
  expect(await runMigrate([], {}, { print, printError })).toBe(2);
  expect(printError).toHaveBeenLastCalledWith(expect.stringContaining('PLATFORM_POSTGRES_DIRECT_HOST is not set'));
  expect(await runMigrate(['--down'], {}, { print, printError })).toBe(2);
  const refused = { ...environmentOf(target), PLATFORM_POSTGRES_DB: 'nowhere' };
  expect(await runMigrate(['--json'], refused, { print, printError })).toBe(2);
  expect(JSON.parse(print.mock.lastCall?.[0] ?? '')).toMatchObject({ error: { code: 'misconfigured' } });
});
