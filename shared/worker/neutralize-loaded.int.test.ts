import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { DatabaseAccess, NeutralizeOrder } from '#shared/domain/backup/order.ts';
import { dangerousRecords, smallOdooSchema } from '#shared/testing/dangerous-odoo.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { neutralizeLoaded } from './neutralize-loaded.ts';
import { readOrder } from './order-file.ts';
import { dropTestDatabase, makeVerificationDatabase } from './tenant.fixture.ts';

const records = dangerousRecords({ mail: { host: '127.0.0.1', port: 1 }, http: 'http://127.0.0.1:1' });
const { signal } = new AbortController();
let folder: string;
let database: DatabaseAccess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-neutralize-'));
  database = await makeVerificationDatabase();
});
afterAll(async () => {
  await dropTestDatabase(database);
  await rm(folder, { recursive: true, force: true });
});

/** A statement as the role that owns the copy, whatever limit a test has set for it. */
async function asOwner<Row extends object>(text: string): Promise<Row[]> {
  const { host, port, user, password } = database;
  const client = new Client({
    host,
    port,
    user,
    password,
    database: database.database,
    options: '-c statement_timeout=0',
  });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

beforeEach(async () => {
  const schema = `DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET search_path = public; ${smallOdooSchema};`;
  await asOwner(schema + records.map(({ sql }) => sql).join(';'));
});

/** The order as a Job finds it, read from its file. */
async function order(identity: NeutralizeOrder['identity']): Promise<NeutralizeOrder> {
  const file = join(folder, 'order.json');
  const wanted: NeutralizeOrder = {
    ...{ version: 1, task: 'neutralize', instanceId: 'abcdefghijkl', operationId: 'op', attempt: 1 },
    store: { kind: 'directory', folder },
    prefix: 'loads/abcdefghijkl/op/1/identity',
    resultKey: Buffer.alloc(32).toString('base64'),
    ...{ database, identity },
  };
  await writeFile(file, JSON.stringify(wanted));
  const found = await readOrder(file);
  if (found.task !== 'neutralize') throw new Error('another order');
  return found;
}

async function parameters(): Promise<Record<string, string>> {
  const rows = await asOwner<{ key: string; value: string }>('SELECT key, value FROM public.ir_config_parameter');
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
}

const slow = (seconds: number) => `
  CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(${seconds}); RETURN NULL; END';
  CREATE TRIGGER slow AFTER UPDATE ON public.ir_cron FOR EACH STATEMENT EXECUTE FUNCTION public.slow()`;
const activeServers = () => asOwner('SELECT FROM public.ir_mail_server WHERE active');

test('a statement on a large table takes as long as it takes, whatever limit the role or the server has', async () => {
  await asOwner(slow(0.6));
  await asSuperuser(sharedServers().postgres, (client) =>
    client.query(`ALTER ROLE ${database.user} SET statement_timeout = '300ms'`),
  );
  await neutralizeLoaded(await order(null), { signal });
  expect(await activeServers()).toEqual([]);
});

test('with an identity the copy is another Odoo, under its own address, and goes on with no upgrade', async () => {
  await asOwner(`INSERT INTO public.ir_config_parameter (key, value) VALUES ('database.uuid', 'of the source')
    ON CONFLICT (key) DO UPDATE SET value = excluded.value;
    UPDATE public.ir_module_module SET state = 'to upgrade' WHERE name = 'base'`);
  await neutralizeLoaded(await order({ baseUrl: 'https://copy.example' }), { signal });
  const found = await parameters();
  expect(found).toMatchObject({ 'web.base.url': 'https://copy.example', 'web.base.url.freeze': 'True' });
  expect(found['database.uuid']).toMatch(/^[0-9a-f-]{36}$/);
  expect(await asOwner(`SELECT FROM public.ir_module_module WHERE state LIKE 'to %'`)).toEqual([]);
});

test('one that is ended in the middle has changed nothing', async () => {
  await asOwner(slow(30));
  const ending = new AbortController();
  const running = neutralizeLoaded(await order(null), { signal: ending.signal });
  const asleep = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`;
  await expect.poll(async () => await asOwner(asleep), { timeout: 15_000 }).toHaveLength(1);
  ending.abort(new Error('asked to end'));
  await expect(running).rejects.toThrow('asked to end');
  expect(await activeServers()).not.toEqual([]);
});
