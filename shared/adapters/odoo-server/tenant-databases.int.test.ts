import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TemplateKey } from '#shared/domain/instance/ports.ts';
import {
  adminOnePassword,
  asTenant,
  fencedBy,
  odooTables,
  personalOf,
  provision,
  someInstance,
  startServerWithTemplate,
  type TestServer,
  tenantPassword,
} from './odoo-server.fixture.ts';
import type { OdooServers } from './odoo-servers.ts';
import { verifyOdooPassword } from './password-hash.fixture.ts';

describe.each(['system', 'embedded'] as const)('tenants on the %s PostgreSQL', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let template: TemplateKey;

  beforeAll(async () => {
    ({ on, servers, template } = await startServerWithTemplate(version));
  }, 60_000);
  afterAll(() => on.stop());

  test('the server is reached and tells its version', async () => {
    const { versionNumber } = await servers.reach(on.server);
    expect(versionNumber).toBeGreaterThanOrEqual(version === 'system' ? 150_000 : 180_000);
  });

  test('two processes prepare a server at the same moment', async () => {
    await on.query('DROP DATABASE fleet_control WITH (FORCE)');
    servers = on.open();
    await Promise.all([servers.prepare(on.server), on.open().prepare(on.server), on.open().prepare(on.server)]);
    const [row] = await on.query<{ owner: string; open: boolean }>(
      `SELECT pg_get_userbyid(datdba) AS owner, has_database_privilege('public', oid, 'CONNECT') AS open
       FROM pg_database WHERE datname = 'fleet_control'`,
    );
    expect(row).toEqual({ owner: 'fleet_admin', open: false });
  });

  test('roles appear both at once, log in with the password, and can be made again with another', async () => {
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    expect(await servers.databases.hasRoles(on.server, instance.id)).toBe(false);
    await servers.databases.createRoles(on.server, fenced, { password: 'first', connectionLimit: 3 });
    await servers.databases.createRoles(on.server, fenced, { password: tenantPassword, connectionLimit: 4 });
    expect(await servers.databases.hasRoles(on.server, instance.id)).toBe(true);
    await on.query('SELECT 1', asTenant(`odoo_${instance.id}`, 'postgres'));
    await expect(
      on.query('SELECT 1', { ...asTenant(`odoo_${instance.id}`, 'postgres'), password: 'first' }),
    ).rejects.toThrow(/password authentication failed/);
    const [role] = await on.query(
      `SELECT rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolconnlimit FROM pg_roles WHERE rolname = 'odoo_${instance.id}'`,
    );
    expect(role).toEqual({
      rolsuper: false,
      rolcreatedb: false,
      rolcreaterole: false,
      rolinherit: false,
      rolconnlimit: 4,
    });
    await servers.databases.remove(on.server, fenced);
    expect(await servers.databases.hasRoles(on.server, instance.id)).toBe(false);
  });

  test('a personalised clone has values of its own, and none of the template', async () => {
    const one = await provision(on, servers, template);
    const two = await provision(on, servers, template);
    const read = async (made: typeof one) => {
      const rows = await on.query<{ key: string; value: string }>(
        'SELECT key, value FROM ir_config_parameter',
        asTenant(made.role, made.database),
      );
      return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
    };
    const [first, second] = [await read(one), await read(two)];
    expect(first['database.uuid']).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect(first['database.secret']).toMatch(/^[0-9a-f]{64}$/);
    expect(first['database.create_date']).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    expect(first).toMatchObject({ 'web.base.url': `https://${one.instance.host}`, 'web.base.url.freeze': 'True' });
    expect(first).not.toHaveProperty('ir_attachment.location');
    expect(first).not.toHaveProperty('report.url');
    expect(second['database.uuid']).not.toBe(first['database.uuid']);
    expect(second['database.secret']).not.toBe(first['database.secret']);
    const [admin] = await on.query<{ login: string; password: string; email: string }>(
      'SELECT login, password, email FROM res_users u JOIN res_partner p ON p.id = u.partner_id WHERE u.id = 2',
      asTenant(one.role, one.database),
    );
    expect(admin).toMatchObject({ login: one.instance.adminLogin, email: one.instance.adminLogin });
    expect(verifyOdooPassword(adminOnePassword, admin?.password ?? '')).toBe(true);
    expect(verifyOdooPassword('admin', admin?.password ?? '')).toBe(false);
    const [company] = await on.query('SELECT email FROM res_partner WHERE id = 1', asTenant(one.role, one.database));
    expect(company).toEqual({ email: 'info@example.com' });
  });

  test('REASSIGN leaves the template with the admin, and the next clone still works', async () => {
    await provision(on, servers, template);
    const [row] = await on.query(
      `SELECT pg_get_userbyid(datdba) AS owner, datistemplate, datallowconn FROM pg_database WHERE datname = 'template_${template.digest}'`,
    );
    expect(row).toEqual({ owner: 'fleet_admin', datistemplate: true, datallowconn: false });
    await provision(on, servers, template);
  });

  test('looks tell absent, empty, initialising, initialised and personalised apart', async () => {
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    const look = () => servers.databases.lookDatabase(on.server, instance.id);
    const isPersonalised = () => servers.databases.isPersonalised(on.server, instance);
    await servers.databases.createRoles(on.server, fenced, { password: tenantPassword, connectionLimit: 5 });
    expect(await look()).toBe('absent');
    expect(await isPersonalised()).toBe(false);
    await servers.databases.createEmpty(on.server, fenced);
    expect(await look()).toBe('empty');
    const as = asTenant(`odoo_${instance.id}`, `odoo_${instance.id}`);
    await on.query('CREATE TABLE ir_module_module (name varchar, state varchar)', as);
    expect(await look()).toBe('empty');
    // a broken initialisation is thrown away, a fresh one is left alone
    await servers.databases.createEmpty(on.server, fenced);
    expect(await on.query("SELECT to_regclass('public.ir_module_module') AS found", as)).toEqual([{ found: null }]);
    await servers.databases.createEmpty(on.server, fenced);
    await on.query(odooTables, as);
    // base is there; whether the Job's other modules are, its end tells
    expect(await look()).toBe('initialising');
    expect(await isPersonalised()).toBe(false);
    await servers.databases.createEmpty(on.server, fenced);
    expect(await look()).toBe('empty');
    await on.query(odooTables, as);
    await servers.databases.personalise(on.server, fenced, personalOf(instance));
    expect(await isPersonalised()).toBe(true);
    expect(await look()).toBe('initialised');
  });

  test('a copy or a renamed database of another instance does not count as personalised', async () => {
    const { instance, database } = await provision(on, servers, template);
    const other = someInstance();
    await servers.databases.createRoles(on.server, fencedBy(other, 1), {
      password: tenantPassword,
      connectionLimit: 5,
    });
    const copy = `CREATE DATABASE odoo_${other.id} TEMPLATE ${database} OWNER odoo_${other.id}_owner`;
    await on.query(copy);
    expect(await servers.databases.isPersonalised(on.server, other)).toBe(false);
    await on.query(`DROP DATABASE odoo_${other.id}`);
    await on.query(`ALTER DATABASE ${database} RENAME TO odoo_${other.id}`);
    expect(await servers.databases.isPersonalised(on.server, other)).toBe(false);
    expect(await servers.databases.isPersonalised(on.server, instance)).toBe(false);
  });

  test('every call can be repeated at every point, and a personalised database is left as it is', async () => {
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    const { databases } = servers;
    const options = { password: tenantPassword, connectionLimit: 5 };
    const calls = [
      () => databases.takeOver(on.server, fenced),
      () => databases.createRoles(on.server, fenced, options),
      () => databases.cloneTemplate(on.server, fenced, template),
      () => databases.personalise(on.server, fenced, personalOf(instance)),
    ];
    for (let upTo = 1; upTo <= calls.length; upTo += 1) {
      for (const call of calls.slice(0, upTo)) await call();
      for (const call of calls.slice(0, upTo)) await call();
    }
    expect(await databases.claimWarm(on.server, fenced, template)).toBe(true);
    const secret = () =>
      on.query("SELECT value FROM ir_config_parameter WHERE key = 'database.secret'", {
        database: `odoo_${instance.id}`,
      });
    const before = await secret();
    await databases.personalise(on.server, fenced, { ...personalOf(instance), adminPassword: 'another' });
    expect(await secret()).toEqual(before);
    // nor is one whose grants were changed since: its administrator has a password of his own by now
    await on.query(`GRANT CONNECT ON DATABASE odoo_${instance.id} TO PUBLIC`);
    await databases.personalise(on.server, fenced, { ...personalOf(instance), adminPassword: 'another' });
    expect(await secret()).toEqual(before);
    expect(await databases.isPersonalised(on.server, instance)).toBe(true);
    await databases.remove(on.server, fenced);
    await databases.remove(on.server, fenced);
    expect(await databases.lookDatabase(on.server, instance.id)).toBe('absent');
    const left = await on.query(
      `SELECT datname AS name FROM pg_database WHERE datname ~ '${instance.id}' UNION ALL
       SELECT rolname FROM pg_roles WHERE rolname ~ '${instance.id}'`,
    );
    expect(left).toEqual([]);
  });

  test('a database in use is not removed, and can be removed afterwards', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    const sleeping = on.query('SELECT pg_sleep(30)', asTenant(role, database)).catch((error: Error) => error.message);
    await expect
      .poll(() => on.query(`SELECT pid FROM pg_stat_activity WHERE datname = '${database}'`), { timeout: 15_000 })
      .toHaveLength(1);
    await expect(servers.databases.remove(on.server, fencedBy(instance, 1))).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(await servers.databases.isPersonalised(on.server, instance)).toBe(true);
    await on.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
    await sleeping;
    await servers.databases.remove(on.server, fencedBy(instance, 1));
    expect(await servers.databases.lookDatabase(on.server, instance.id)).toBe('absent');
  });

  test('use is seen once somebody has logged in, or has tampered with the notes of it', async () => {
    expect(await servers.databases.wasUsed(on.server, someInstance().id)).toBe(false);
    const { instance, database, role } = await provision(on, servers, template);
    const inside = asTenant(role, database);
    expect(await servers.databases.wasUsed(on.server, instance.id)).toBe(false);
    await on.query('CREATE TABLE res_users_log (id serial PRIMARY KEY, create_uid integer)', inside);
    expect(await servers.databases.wasUsed(on.server, instance.id)).toBe(false);
    await on.query('INSERT INTO res_users_log (create_uid) VALUES (2)', inside);
    expect(await servers.databases.wasUsed(on.server, instance.id)).toBe(true);
    await on.query(
      'ALTER TABLE res_users_log RENAME TO kept; CREATE VIEW res_users_log AS SELECT * FROM kept WHERE false',
      inside,
    );
    expect(await servers.databases.wasUsed(on.server, instance.id)).toBe(true);
  });

  test("somebody else's database of that name is not touched", async () => {
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    await on.query(`CREATE DATABASE odoo_${instance.id}`);
    for (const call of [
      () => servers.databases.lookDatabase(on.server, instance.id),
      () => servers.databases.createEmpty(on.server, fenced),
      () => servers.databases.claimWarm(on.server, fenced, template),
      () => servers.databases.cloneTemplate(on.server, fenced, template),
      () => servers.databases.personalise(on.server, fenced, personalOf(instance)),
      () => servers.databases.remove(on.server, fenced),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'foreign-object' });
    }
    expect(await on.query(`SELECT 1 AS one FROM pg_database WHERE datname = 'odoo_${instance.id}'`)).toHaveLength(1);
  });
});
