import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TemplateKey } from '#shared/domain/instance/ports.ts';
import {
  fencedBy,
  provision,
  someInstance,
  startServerWithTemplate,
  type TestServer,
  tenantPassword,
} from './odoo-server.fixture.ts';
import type { OdooServers } from './odoo-servers.ts';
import { openSession } from './sessions.fixture.ts';

describe.each(['system', 'embedded'] as const)('work as the tenant on the %s PostgreSQL', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let template: TemplateKey;
  const password = tenantPassword;

  beforeAll(async () => {
    ({ on, servers, template } = await startServerWithTemplate(version));
  });
  afterAll(() => on.stop());

  const asTenant = (role: string, database: string) => ({ user: role, password, database });
  const mayLogIn = (instanceId: string, as = password) =>
    servers.databases.mayLogIn(on.server, instanceId, { password: as });
  const busyCrons = (instanceId: string) => servers.databases.busyCrons(on.server, instanceId, { password });
  const hasBaseUrl = (instanceId: string, baseUrl: string) =>
    servers.databases.hasBaseUrl(on.server, instanceId, { password, baseUrl });
  const rightsOf = (role: string) => on.query(`SELECT rolcreatedb FROM pg_roles WHERE rolname = '${role}'`);

  test('a login is told from every way to refuse one', async () => {
    const { instance, database, role, ownerRole } = await provision(on, servers, template);
    expect(await mayLogIn(someInstance().id)).toBe(false);
    expect(await mayLogIn(instance.id)).toBe(true);
    expect(await mayLogIn(instance.id, 'another')).toBe(false);
    for (const [broken, mended] of [
      [`ALTER ROLE ${role} NOLOGIN`, `ALTER ROLE ${role} LOGIN`],
      [`REVOKE CONNECT ON DATABASE ${database} FROM ${role}`, `GRANT CONNECT ON DATABASE ${database} TO ${role}`],
      [`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`, `ALTER DATABASE ${database} ALLOW_CONNECTIONS true`],
      [`ALTER DATABASE ${database} RENAME TO elsewhere`, `ALTER DATABASE elsewhere RENAME TO ${database}`],
    ] as const) {
      await on.query(broken);
      expect(await mayLogIn(instance.id), broken).toBe(false);
      await on.query(mended);
      expect(await mayLogIn(instance.id), mended).toBe(true);
    }
    await on.query(`ALTER DATABASE ${database} OWNER TO ${ownerRole}`);
  });

  test('a role whose connections are all in use may log in; a server that is full or away says nothing about it', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    await on.query(`ALTER ROLE ${role} CONNECTION LIMIT 1`);
    const odoo = await openSession(on, { user: role, password, database });
    expect(await mayLogIn(instance.id)).toBe(true);
    expect(await mayLogIn(instance.id, 'another')).toBe(false);
    await expect(busyCrons(instance.id)).rejects.toMatchObject({ code: 'unavailable' });
    await odoo.end();
    await on.query(`ALTER ROLE ${role} CONNECTION LIMIT -1`);
    expect(await mayLogIn(instance.id)).toBe(true);
    const away = on.open();
    await expect(away.databases.mayLogIn({ ...on.server, port: 1 }, instance.id, { password })).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  test('scheduled actions at work are counted by the locks on their rows, of either kind', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    expect(await busyCrons(someInstance().id)).toBe(0);
    // no Odoo in it
    expect(await busyCrons(instance.id)).toBe(0);
    const inside = asTenant(role, database);
    await on.query(
      'CREATE TABLE ir_cron (id serial PRIMARY KEY); INSERT INTO ir_cron SELECT FROM generate_series(1, 9)',
      inside,
    );
    expect(await busyCrons(instance.id)).toBe(0);
    const lock = (id: number, how: string) =>
      openSession(on, inside, `BEGIN; SELECT FROM ir_cron WHERE id = ${id} FOR ${how} SKIP LOCKED`);
    const newerOdoo = await lock(1, 'NO KEY UPDATE');
    const olderOdoo = await lock(2, 'UPDATE');
    expect(await busyCrons(instance.id)).toBe(2);
    await newerOdoo.query('COMMIT');
    expect(await busyCrons(instance.id)).toBe(1);
    await Promise.all([newerOdoo.end(), olderOdoo.end()]);
    await expect.poll(() => busyCrons(instance.id), { timeout: 15_000 }).toBe(0);
  });

  test("a tenant's own code runs with the tenant's rights, and not for long", async () => {
    const { instance, database, role } = await provision(on, servers, template);
    const fenced = fencedBy(instance, 2);
    await on.query(
      `CREATE FUNCTION steal() RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'ALTER ROLE ${role} CREATEDB'; RETURN true; END $$;
       CREATE FUNCTION steal_row() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM public.steal(); RETURN NEW; END $$;
       CREATE TABLE crons (id int);
       CREATE VIEW ir_cron AS SELECT id FROM crons WHERE steal();
       INSERT INTO crons VALUES (1);
       CREATE TRIGGER steal BEFORE INSERT OR UPDATE ON ir_config_parameter FOR EACH ROW EXECUTE FUNCTION steal_row()`,
      asTenant(role, database),
    );
    const baseUrl = 'https://new.example.com';
    await expect(busyCrons(instance.id)).rejects.toMatchObject({ code: 'not-allowed' });
    await expect(servers.databases.setBaseUrl(on.server, fenced, { password, baseUrl })).rejects.toMatchObject({
      code: 'not-allowed',
    });
    expect(await rightsOf(role)).toEqual([{ rolcreatedb: false }]);
    await on.query(
      "CREATE OR REPLACE FUNCTION steal() RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(60) IS NULL'",
      asTenant(role, database),
    );
    const began = Date.now();
    // a process that stood still gives up by itself, and cannot know
    await expect(servers.databases.setBaseUrl(on.server, fenced, { password, baseUrl })).rejects.toMatchObject({
      code: expect.stringMatching(/^(timeout|outcome-unknown)$/),
    });
    expect(Date.now() - began).toBeLessThan(30_000);
    expect(await hasBaseUrl(instance.id, baseUrl)).toBe(false);
  });

  test('the address is written and read as the tenant, in a plain Odoo only', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    const fenced = fencedBy(instance, 2);
    const baseUrl = "https://it's-new.example.com";
    expect(await hasBaseUrl(instance.id, `https://${instance.host}`)).toBe(true);
    expect(await hasBaseUrl(instance.id, baseUrl)).toBe(false);
    for (let time = 1; time <= 2; time += 1) {
      await servers.databases.setBaseUrl(on.server, fenced, { password, baseUrl });
      expect(await hasBaseUrl(instance.id, baseUrl)).toBe(true);
    }
    await on.query("DELETE FROM ir_config_parameter WHERE key = 'web.base.url'", asTenant(role, database));
    expect(await hasBaseUrl(instance.id, baseUrl)).toBe(false);
    await servers.databases.setBaseUrl(on.server, fenced, { password, baseUrl });
    expect(await hasBaseUrl(instance.id, baseUrl)).toBe(true);
    await on.query('DROP TABLE ir_config_parameter', asTenant(role, database));
    expect(await hasBaseUrl(instance.id, baseUrl)).toBe(false);
    const { databases } = servers;
    await expect(databases.setBaseUrl(on.server, fenced, { password, baseUrl })).rejects.toMatchObject({
      code: 'not-found',
    });
    const other = someInstance();
    expect(await hasBaseUrl(other.id, baseUrl)).toBe(false);
  });

  test('a newer holder ends a session that works as the tenant under a lower fence, and leaves his others', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    const newer = on.open();
    await newer.prepare(on.server);
    const odoo = await openSession(on, asTenant(role, database));
    const baseUrl = 'https://late.example.com';
    // holds the older one up inside the database, after its fence was checked
    await on.query(
      `CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
       CREATE TRIGGER hold BEFORE INSERT OR UPDATE ON ir_config_parameter FOR EACH ROW EXECUTE FUNCTION hold()`,
      asTenant(role, database),
    );
    const outcome = servers.databases
      .setBaseUrl(on.server, fencedBy(instance, 2), { password, baseUrl })
      .catch((error: { code: string }) => error.code);
    const name = `fleet:${instance.id}:2`;
    await expect
      .poll(() => on.query(`SELECT pid FROM pg_stat_activity WHERE application_name = '${name}'`), { timeout: 15_000 })
      .toHaveLength(2);
    await newer.databases.takeOver(on.server, fencedBy(instance, 3));
    expect(await outcome).toBe('unavailable');
    expect(await on.query(`SELECT pid FROM pg_stat_activity WHERE application_name = '${name}'`)).toEqual([]);
    await odoo.query('SELECT 1');
    await odoo.end();
    expect(await hasBaseUrl(instance.id, baseUrl)).toBe(false);
  });

  test('an address whose control session dies before its COMMIT is not written', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    const baseUrl = 'https://dead.example.com';
    const odoo = await openSession(on, asTenant(role, database), 'BEGIN; LOCK TABLE ir_config_parameter');
    const outcome = servers.databases
      .setBaseUrl(on.server, fencedBy(instance, 2), { password, baseUrl })
      .catch((error: { code: string }) => error.code);
    const name = `fleet:${instance.id}:2`;
    await expect
      .poll(() => on.query(`SELECT pid FROM pg_stat_activity WHERE application_name = '${name}'`), { timeout: 15_000 })
      .toHaveLength(2);
    await on.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE application_name = '${name}' AND datname = 'fleet_control'`,
    );
    await odoo.end();
    expect(await outcome).toBe('unavailable');
    expect(await hasBaseUrl(instance.id, baseUrl)).toBe(false);
  });

  test('sessions of the instance are counted and ended, wherever they are, and no others', async () => {
    const one = await provision(on, servers, template);
    const two = await provision(on, servers, template);
    const count = (instanceId: string) => servers.databases.countSessions(on.server, instanceId);
    expect(await count(one.instance.id)).toBe(0);
    const web = await openSession(on, asTenant(one.role, one.database));
    const bus = await openSession(on, asTenant(one.role, 'postgres'), 'LISTEN imbus');
    const others = await openSession(on, asTenant(two.role, two.database));
    expect(await count(one.instance.id)).toBe(2);
    expect(await count(two.instance.id)).toBe(1);
    await servers.databases.cutSessions(on.server, fencedBy(one.instance, 2));
    await servers.databases.cutSessions(on.server, fencedBy(one.instance, 2));
    expect(await count(one.instance.id)).toBe(0);
    await others.query('SELECT 1');
    for (const ended of [web, bus]) await expect(ended.query('SELECT 1')).rejects.toThrow();
    await others.end();
    expect(await mayLogIn(one.instance.id)).toBe(true);
  });

  test('owner and grants are put right, and nothing of the data', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    const fenced = fencedBy(instance, 2);
    const isRight = () => servers.databases.isPersonalised(on.server, instance);
    const secret = () =>
      on.query("SELECT value FROM ir_config_parameter WHERE key = 'database.secret'", asTenant(role, database));
    const before = await secret();
    for (const drift of [
      `GRANT CONNECT ON DATABASE ${database} TO PUBLIC`,
      `GRANT TEMPORARY ON DATABASE ${database} TO PUBLIC`,
      `ALTER DATABASE ${database} OWNER TO fleet_admin`,
      `ALTER DATABASE ${database} OWNER TO ${role}`,
    ]) {
      await on.query(drift);
      expect(await isRight(), drift).toBe(false);
      await servers.databases.repairOwnership(on.server, fenced);
      expect(await isRight(), drift).toBe(true);
    }
    await on.query(`REVOKE ALL ON DATABASE ${database} FROM ${role}`);
    expect(await mayLogIn(instance.id)).toBe(false);
    await servers.databases.repairOwnership(on.server, fenced);
    expect(await mayLogIn(instance.id)).toBe(true);
    expect(await secret()).toEqual(before);
    await on.query(`ALTER DATABASE ${database} OWNER TO postgres`);
    await expect(servers.databases.repairOwnership(on.server, fenced)).rejects.toMatchObject({
      code: 'foreign-object',
    });
    await expect(servers.databases.repairOwnership(on.server, fencedBy(someInstance(), 1))).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});
