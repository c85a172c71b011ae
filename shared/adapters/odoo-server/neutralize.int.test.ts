import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type DangerousRecord, dangerousRecords, smallOdooSchema } from '#shared/testing/dangerous-odoo.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { findDangers, neutralizeDatabase } from './neutralize.ts';

const name = `load_${randomBytes(6).toString('hex')}`;
const records = dangerousRecords({ mail: { host: '127.0.0.1', port: 1 }, http: 'http://127.0.0.1:1' });
let client: Client;

/** As the role that a copy is loaded by: the owner of all that is in it, and no superuser. */
beforeAll(async () => {
  await asSuperuser(sharedServers().postgres, async (superuser) => {
    await superuser.query(`CREATE ROLE ${name} LOGIN PASSWORD '${name}'`);
    await superuser.query(`CREATE DATABASE ${name} OWNER ${name} TEMPLATE template0`);
  });
  const { host, port } = sharedServers().postgres;
  client = new Client({ host, port, user: name, password: name, database: name });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await asSuperuser(sharedServers().postgres, async (superuser) => {
    await superuser.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await superuser.query(`DROP ROLE ${name}`);
  });
});
beforeEach(async () => {
  await client.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; SET search_path = public; ${smallOdooSchema}`);
});

async function seed(of: readonly DangerousRecord[] = records): Promise<void> {
  for (const { sql } of of) await client.query(sql);
}

async function contents(): Promise<string> {
  const { rows } = await client.query<{ all: string }>(
    `SELECT string_agg(query_to_xml(format('SELECT * FROM public.%I ORDER BY id', relname), true, true, '')::text, '' ORDER BY relname) AS all
     FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
  );
  return rows[0]?.all ?? '';
}

describe('a copy with every dangerous record', () => {
  test.each(records.map((record) => [record.what, record] as const))('%s is seen', async (_what, record) => {
    await seed([record]);
    expect((await findDangers(client)).join('\n')).toContain(record.seenAs);
  });

  test('has none of them after it was neutralized, and no secret is left in it', async () => {
    await seed();
    await neutralizeDatabase(client);
    expect(await findDangers(client)).toEqual([]);
    const all = await contents();
    for (const secret of [
      'password</smtp_pass',
      "relay's password",
      "mailbox's password",
      'sk_live',
      'whsec',
      'ya29',
      'shop-secret',
      'anaf-secret',
      'a1b2c3d4e5f6',
      'abcd1234',
      '127.0.0.1',
      '>k1<',
      'cdn.acme',
    ])
      expect(all).not.toContain(secret);
    // what is the copy's own stays
    expect(all).toContain('<password>a hash</password>');
    expect(all).toContain('auth_password_policy.minlength');
    expect((await client.query('SELECT cron_name FROM ir_cron WHERE active')).rows).toEqual([
      { cron_name: 'auto-vacuum' },
    ]);
  });

  test('is not changed by a second time', async () => {
    await seed();
    await neutralizeDatabase(client);
    const once = await contents();
    await neutralizeDatabase(client);
    expect(await contents()).toBe(once);
  });
});

describe('nobody is let into a copy', () => {
  const refused = { code: 'not-allowed' };

  test('whose trigger undoes what was done, and nothing of it is kept', async () => {
    await seed();
    await client.query(`CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.active := true; RETURN NEW; END';
      CREATE TRIGGER again BEFORE UPDATE ON ir_cron FOR EACH ROW EXECUTE FUNCTION again()`);
    const before = await contents();
    await expect(neutralizeDatabase(client)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('scheduled actions that are active'),
    });
    expect(await contents()).toBe(before);
  });

  test('whose trigger waits for the commit', async () => {
    await seed();
    await client.query(`CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE public.ir_cron SET active = true; RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON ir_mail_server DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later()`);
    await expect(neutralizeDatabase(client)).rejects.toMatchObject(refused);
  });

  test('whose trigger puts another one off until the commit', async () => {
    await seed();
    await client.query(`CREATE TABLE acme_later (id serial PRIMARY KEY);
      CREATE FUNCTION last() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE public.ir_cron SET active = true; RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER last AFTER INSERT ON acme_later DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION last();
      CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO public.acme_later DEFAULT VALUES; RETURN NULL; END';
      CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON ir_mail_server DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later()`);
    await expect(neutralizeDatabase(client)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('scheduled actions that are active'),
    });
  });

  test('who has a function that would be taken for PostgreSQL’s', async () => {
    await seed();
    await client.query("CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql AS $$ SELECT 'nothing' $$");
    await expect(neutralizeDatabase(client)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('parameters with a secret'),
    });
  });

  test('with a type of his own, whose comparisons are his', async () => {
    await client.query(`CREATE TYPE flag AS ENUM ('on', 'off'); ALTER TABLE fetchmail_server ADD COLUMN odd flag`);
    await expect(neutralizeDatabase(client)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('types'),
    });
  });

  test('whose rule keeps a record from being changed', async () => {
    await seed();
    await client.query('CREATE RULE keep AS ON UPDATE TO payment_provider DO INSTEAD NOTHING');
    await expect(neutralizeDatabase(client)).rejects.toMatchObject(refused);
  });

  test('that hides records by a policy', async () => {
    await seed();
    await client.query(`ALTER TABLE ir_mail_server ENABLE ROW LEVEL SECURITY; ALTER TABLE ir_mail_server FORCE ROW LEVEL SECURITY;
      CREATE POLICY none ON ir_mail_server USING (false)`);
    await expect(neutralizeDatabase(client)).rejects.toThrow(/row-level security/);
  });

  test('that shows a view in place of a table', async () => {
    await client.query(
      `ALTER TABLE ir_cron RENAME TO real_cron; CREATE VIEW ir_cron AS SELECT * FROM real_cron WHERE false`,
    );
    await expect(neutralizeDatabase(client)).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('ir_cron'),
    });
  });

  test('that is no Odoo database at all', async () => {
    await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await expect(neutralizeDatabase(client)).rejects.toMatchObject(refused);
  });
});
