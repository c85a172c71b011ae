import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { oldSideName } from '#shared/domain/backup/load-names.ts';
import type { TemplateKey } from '#shared/domain/instance/ports.ts';
import {
  asTenant,
  fencedBy,
  odooTables,
  provision,
  someInstance,
  startServerWithTemplate,
  type TestServer,
  tenantPassword,
} from './odoo-server.fixture.ts';
import type { OdooServers } from './odoo-servers.ts';

const password = 'password-of-the-load-5512';
const operationId = '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f';
const undoId = '01936f2e-8b5a-7c3d-9e4f-0a1b9f8e7d6c';
const options = { operationId, round: 1, password, validSeconds: 600 };

describe.each(['system', 'embedded'] as const)('a load on the %s server', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let template: TemplateKey;

  beforeAll(async () => {
    ({ on, servers, template } = await startServerWithTemplate(version));
  }, 120_000);
  afterAll(async () => await on?.stop());

  /** A live instance, and beside it a loaded database with a large object and a row that tells it from the other. */
  async function loaded() {
    const tenant = await provision(on, servers, template);
    const fenced = fencedBy(tenant.instance, 2);
    const { database, user } = await servers.loads.create(on.server, fenced, options);
    const session = { database, user, password };
    await on.query(`${odooTables}; INSERT INTO res_partner (name) VALUES ('loaded'); SELECT lo_create(4711)`, session);
    return { ...tenant, fenced, session, name: database };
  }

  const namesOfPartners = async (role: string, database: string) => {
    const rows = await on.query<{ name: string }>('SELECT name FROM res_partner', asTenant(role, database));
    return rows.map(({ name }) => name);
  };
  const sidesOf = ({ instance, name }: Awaited<ReturnType<typeof loaded>>) => ({
    incoming: name,
    outgoing: oldSideName({ instanceId: instance.id, operationId }),
  });

  test('has a database that only its own role, which is no superuser, may enter', async () => {
    const { session, role, instance, name } = await loaded();
    await expect(on.query('SELECT 1', asTenant(role, name))).rejects.toMatchObject({ code: '42501' });
    await expect(on.query('SELECT 1', { ...session, database: role })).rejects.toMatchObject({ code: '42501' });
    const rights = `SELECT rolsuper OR rolcreatedb OR rolcreaterole AS much FROM pg_roles WHERE rolname = '${name}'`;
    expect(await on.query(rights)).toEqual([{ much: false }]);
    await on.query(`COMMENT ON DATABASE ${name} IS 'fleet: load of operation ${'-'.repeat(36)}'`, session);
    expect(await servers.loads.list(on.server)).toContainEqual({
      database: name,
      instanceId: instance.id,
      operation: '2c3d4e5f',
    });
    expect(await servers.loads.isHandedOver(on.server, instance.id, name)).toBe(false);
  });

  test('is handed over whole, to nobody who could connect yet', async () => {
    const { fenced, instance, role, ownerRole, name, session } = await loaded();
    await servers.loads.handOver(on.server, fenced, name);
    await servers.loads.handOver(on.server, fenced, name);
    expect(await servers.loads.isHandedOver(on.server, instance.id, name)).toBe(true);
    await expect(on.query('SELECT 1', session)).rejects.toMatchObject({ code: '28P01' });
    await expect(on.query('SELECT 1', asTenant(role, name))).rejects.toMatchObject({ code: '42501' });
    const owners = `SELECT DISTINCT pg_get_userbyid(owner)::text AS owner FROM (
      SELECT relowner AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace
      UNION SELECT proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      UNION SELECT lomowner FROM pg_largeobject_metadata UNION SELECT nspowner FROM pg_namespace WHERE nspname = 'public') o`;
    expect(await on.query(owners, { database: name, ...on.superuser })).toEqual([{ owner: role }]);
    const owner = `SELECT pg_get_userbyid(datdba)::text AS owner FROM pg_database WHERE datname = '${name}'`;
    expect(await on.query(owner)).toEqual([{ owner: ownerRole }]);
  });

  test('changes places with the live database, and back again', async () => {
    const all = await loaded();
    const { fenced, instance, role, name } = all;
    const sides = sidesOf(all);
    await servers.loads.handOver(on.server, fenced, name);
    expect(await servers.sides.look(on.server, instance.id, sides)).toBe('before');
    const sleeping = on.query('SELECT pg_sleep(60)', asTenant(role, role));
    const ended = expect(sleeping).rejects.toThrow();
    // one that is just logging in is not seen yet
    await expect
      .poll(() => on.query(`SELECT FROM pg_stat_activity WHERE usename = '${role}'`), { timeout: 15_000 })
      .toHaveLength(1);
    await servers.sides.lockOut(on.server, fenced);
    await ended;
    await expect(on.query('SELECT 1', asTenant(role, role))).rejects.toMatchObject({ code: '28000' });

    await servers.sides.exchange(on.server, fenced, sides);
    await servers.sides.exchange(on.server, fenced, sides);
    expect(await servers.sides.look(on.server, instance.id, sides)).toBe('after');
    expect(await servers.sides.mayLogIn(on.server, instance.id)).toBe(false);
    await servers.sides.letIn(on.server, fenced);
    expect(await namesOfPartners(role, role)).toContain('loaded');
    expect(await servers.databases.isPersonalised(on.server, instance)).toBe(true);
    await expect(on.query('SELECT 1', asTenant(role, sides.outgoing))).rejects.toThrow();

    const back = { incoming: sides.outgoing, outgoing: oldSideName({ instanceId: instance.id, operationId: undoId }) };
    const undo = fencedBy(instance, 3);
    await servers.sides.lockOut(on.server, undo);
    await servers.sides.exchange(on.server, undo, back);
    await servers.sides.letIn(on.server, undo);
    expect(await namesOfPartners(role, role)).not.toContain('loaded');
    expect(await servers.databases.isPersonalised(on.server, instance)).toBe(true);

    await servers.sides.dropOldSide(on.server, back.outgoing);
    await servers.sides.dropOldSide(on.server, back.outgoing);
    expect(await on.databasesLike(instance.id)).toEqual([role]);
  });

  test('changes nothing for a holder that lost its fence, nor where the sides are not as they were left', async () => {
    const all = await loaded();
    const { fenced, instance, role, name } = all;
    const sides = sidesOf(all);
    await servers.loads.handOver(on.server, fenced, name);
    await servers.databases.takeOver(on.server, fencedBy(instance, 9));
    await expect(servers.sides.exchange(on.server, fenced, sides)).rejects.toMatchObject({ code: 'fenced' });
    await servers.loads.drop(on.server, fencedBy(instance, 9), name);
    await expect(servers.sides.exchange(on.server, fencedBy(instance, 9), sides)).rejects.toMatchObject({
      code: 'foreign-object',
    });
    expect(await on.databasesLike(instance.id)).toEqual([role]);
    expect(await namesOfPartners(role, role)).not.toContain('loaded');
  });

  test('is put right by its own role: address, identity, modules that were about to be changed', async () => {
    const { fenced, instance, role, session } = await loaded();
    await on.query(
      `INSERT INTO ir_module_module (name, state) VALUES ('a', 'to install'), ('b', 'to upgrade'), ('c', 'to remove');
       CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
         INSERT INTO ir_attachment (name) VALUES (current_user); RETURN NEW; END$$;
       CREATE TRIGGER spy BEFORE INSERT OR UPDATE ON ir_config_parameter FOR EACH ROW EXECUTE FUNCTION spy()`,
      session,
    );
    const uuid = await servers.restoredState.readUuid(on.server, instance.id, { password: tenantPassword });
    expect(uuid).toMatch(/^[0-9a-f-]{36}$/);
    const wanted = { session, baseUrl: 'https://shop.example.com', uuid };
    await servers.restoredState.putRight(on.server, fenced, wanted);
    const parameters = await on.query<{ key: string; value: string }>(
      'SELECT key, value FROM ir_config_parameter ORDER BY key',
      session,
    );
    expect(Object.fromEntries(parameters.map(({ key, value }) => [key, value]))).toMatchObject({
      'database.uuid': uuid,
      'web.base.url': 'https://shop.example.com',
    });
    const modules = `SELECT name, state FROM ir_module_module WHERE length(name) = 1 ORDER BY name`;
    expect(await on.query(modules, session)).toEqual([
      { name: 'a', state: 'uninstalled' },
      { name: 'b', state: 'installed' },
      { name: 'c', state: 'installed' },
    ]);
    // the tenant's own programs ran, with no more rights than the load's role has
    const ran = await on.query(`SELECT DISTINCT name FROM ir_attachment WHERE name <> 'icon'`, session);
    expect(ran).toEqual([{ name: session.user }]);
    await on.query('DROP TABLE ir_config_parameter', asTenant(role, role));
    expect(await servers.restoredState.readUuid(on.server, instance.id, { password: tenantPassword })).toBeUndefined();
  });

  test('becomes the database of an instance that has none, and of no other', async () => {
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    await servers.databases.createRoles(on.server, fenced, { password: tenantPassword, connectionLimit: 5 });
    const { database, user } = await servers.loads.create(on.server, fenced, options);
    await on.query(odooTables, { database, user, password });
    await expect(servers.loads.takeName(on.server, fenced, database)).rejects.toMatchObject({ code: 'conflict' });
    await servers.loads.handOver(on.server, fenced, database);
    await servers.loads.takeName(on.server, fenced, database);
    await servers.loads.takeName(on.server, fenced, database);
    expect(await servers.databases.isPersonalised(on.server, instance)).toBe(true);
    const name = `odoo_${instance.id}`;
    expect(await namesOfPartners(name, name)).toContain('My Company');
    expect(await servers.loads.isHandedOver(on.server, instance.id, database)).toBe(true);

    const other = await loaded();
    await servers.loads.handOver(on.server, other.fenced, other.name);
    await expect(servers.loads.takeName(on.server, other.fenced, other.name)).rejects.toMatchObject({
      code: 'not-allowed',
    });
  });

  test('is not held up by rights that other tenants give its role', async () => {
    const { name, fenced, session } = await loaded();
    const other = await provision(on, servers, template);
    const give = (role: string) =>
      on.query(`GRANT SELECT ON res_partner TO ${role}`, asTenant(other.role, other.database));
    await give(name);
    await servers.loads.handOver(on.server, fenced, name);
    const rows = await on.query<{ name: string }>(`SELECT name FROM res_partner WHERE name = 'loaded'`, {
      database: session.database,
    });
    expect(rows).toHaveLength(1);
    const next = await servers.loads.create(on.server, fenced, { ...options, round: 2 });
    await give(next.user);
    // as whoever owns it while his dump is loaded may, on the whole database
    const theirs = await servers.loads.create(on.server, fencedBy(other.instance, 2), options);
    await on.query(`GRANT CONNECT ON DATABASE ${theirs.database} TO ${next.user}`, { ...theirs, password });
    await servers.loads.drop(on.server, fenced, next.database);
    expect(await servers.loads.isThere(on.server, next.database)).toBe(false);
  });

  test('goes with the instance: a purge leaves nothing of it', async () => {
    const all = await loaded();
    const { fenced, instance, name } = all;
    await servers.loads.handOver(on.server, fenced, name);
    await servers.sides.lockOut(on.server, fenced);
    await servers.sides.exchange(on.server, fenced, sidesOf(all));
    await servers.loads.create(on.server, fenced, { ...options, round: 2 });
    await servers.databases.setAside(on.server, fenced);
    await servers.databases.purge(on.server, fenced);
    expect(await on.databasesLike(instance.id)).toEqual([]);
    expect(await on.query(`SELECT FROM pg_roles WHERE rolname ~ '${instance.id}'`)).toEqual([]);
  });

  test('has no way to keep itself, or to hold others up, by what its role may do to its own database', async () => {
    const { name, instance, session, fenced, role } = await loaded();
    const other = await provision(on, servers, template);
    const spoil = `ALTER DATABASE ${name} IS_TEMPLATE true; ALTER DATABASE ${name} CONNECTION LIMIT 0;
      ALTER DATABASE ${name} SET default_transaction_read_only = on; GRANT CONNECT ON DATABASE ${name} TO ${other.role};
      COMMENT ON DATABASE ${name} IS 'fleet: personalised for instance ${instance.id}'`;
    await on.query(spoil, session);
    await servers.loads.handOver(on.server, fenced, name);
    const left = `SELECT datistemplate, datconnlimit, (SELECT count(*)::int FROM pg_db_role_setting WHERE setdatabase = d.oid) AS settings,
      EXISTS (SELECT FROM aclexplode(datacl) WHERE grantee = '${other.role}'::regrole) AS given FROM pg_database d WHERE datname = '${name}'`;
    expect(await on.query(left)).toEqual([{ datistemplate: false, datconnlimit: -1, settings: 0, given: false }]);
    await servers.loads.drop(on.server, fenced, name);
    const next = await servers.loads.create(on.server, fenced, { ...options, round: 2 });
    await on.query(spoil.replaceAll(name, next.database), { ...next, password });
    await servers.loads.drop(on.server, fenced, next.database);
    expect(await on.databasesLike(instance.id)).toEqual([role]);
  });

  test('is swept when no operation knows it', async () => {
    const { name, instance } = await loaded();
    await servers.loads.sweep(on.server, name);
    expect(await servers.loads.isThere(on.server, name)).toBe(false);
    expect(await on.query(`SELECT FROM pg_roles WHERE rolname ~ 'load_${instance.id}'`)).toEqual([]);
  });
});
