import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TemplateKey } from '#shared/domain/instance/ports.ts';
import {
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

describe.each(['system', 'embedded'] as const)('tenants on the %s PostgreSQL', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let template: TemplateKey;

  beforeAll(async () => {
    ({ on, servers, template } = await startServerWithTemplate(version));
  }, 60_000);
  afterAll(() => on.stop());

  test('a tenant owns what is in the database, and not the database', async () => {
    const { database, role, ownerRole } = await provision(on, servers, template);
    const as = asTenant(role, database);
    await on.query(
      `ALTER TABLE res_partner ADD COLUMN vip boolean; ALTER VIEW report_view RENAME TO other_view;
       ALTER FUNCTION answer() RENAME TO question; CREATE TABLE own_table (id int); CREATE TEMP TABLE scratch (id int)`,
      as,
    );
    const owned = await on.query<{ kind: string; owner: string }>(
      `SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace`,
      as,
    );
    expect(owned).toEqual([{ owner: role }]);
    await expect(on.query('CREATE SCHEMA another', as)).rejects.toThrow(/permission denied/);
    const elsewhere = asTenant(role, 'postgres');
    await expect(on.query(`DROP DATABASE ${database}`, elsewhere)).rejects.toThrow(/must be owner/);
    await expect(on.query(`ALTER DATABASE ${database} RENAME TO mine`, elsewhere)).rejects.toThrow(/must be owner/);
    await expect(on.query(`COMMENT ON DATABASE ${database} IS 'x'`, elsewhere)).rejects.toThrow(/must be owner/);
    await expect(on.query('CREATE DATABASE another', elsewhere)).rejects.toThrow(/permission denied/);
    await expect(on.query('CREATE ROLE another', elsewhere)).rejects.toThrow(/permission denied/);
    await expect(on.query(`SET ROLE ${ownerRole}`, elsewhere)).rejects.toThrow(/permission denied/);
    await expect(on.query('SET ROLE fleet_template_objects', elsewhere)).rejects.toThrow(/permission denied/);
  });

  test('a tenant reaches no database but its own', async () => {
    const one = await provision(on, servers, template);
    const two = await provision(on, servers, template);
    await servers.warm.refill(on.server, template, { target: 1, atMost: 1 });
    const others = await on.query<{ name: string; open: boolean }>(
      `SELECT datname AS name FROM pg_database
       WHERE has_database_privilege('${one.role}', oid, 'CONNECT') OR has_database_privilege('${one.role}', oid, 'TEMPORARY')`,
    );
    // datallowconn closes the template, whose grants are PostgreSQL's defaults
    expect(others.map(({ name }) => name).filter((name) => !/^(postgres|template.*)$/.test(name))).toEqual([
      one.database,
    ]);
    await expect(on.query('SELECT 1', asTenant(one.role, two.database))).rejects.toThrow(
      /permission denied for database/,
    );
    await expect(on.query('SELECT 1', asTenant(one.role, `template_${template.digest}`))).rejects.toThrow(
      /not currently accepting connections/,
    );
    await expect(on.query('SELECT 1', asTenant(one.role, 'fleet_control'))).rejects.toThrow(/permission denied/);
  });

  test("a tenant's own code never runs with the admin's rights", async () => {
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    const database = `odoo_${instance.id}`;
    await servers.databases.createRoles(on.server, fenced, { password: tenantPassword, connectionLimit: 5 });
    await servers.databases.createEmpty(on.server, fenced);
    // RESET ROLE would undo any SET ROLE of the admin; only not running it helps
    await on.query(
      `CREATE FUNCTION steal() RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'ALTER ROLE ${database} CREATEDB'; RETURN true; END $$;
       CREATE FUNCTION steal_row() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM public.steal(); RETURN NEW; END $$;
       ${odooTables};
       ALTER TABLE ir_module_module RENAME TO real_modules;
       CREATE VIEW ir_module_module AS SELECT name, state FROM real_modules WHERE steal();
       CREATE TRIGGER steal BEFORE INSERT OR UPDATE ON ir_config_parameter FOR EACH ROW EXECUTE FUNCTION steal_row()`,
      asTenant(database, database),
    );
    expect(await servers.databases.lookDatabase(on.server, instance.id)).toBe('empty');
    await expect(servers.databases.personalise(on.server, fenced, personalOf(instance))).rejects.toMatchObject({
      code: 'foreign-object',
    });
    expect(await on.query(`SELECT rolcreatedb FROM pg_roles WHERE rolname = '${database}'`)).toEqual([
      { rolcreatedb: false },
    ]);
  });
});
