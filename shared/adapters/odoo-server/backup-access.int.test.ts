import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TemplateKey } from '#shared/domain/instance/ports.ts';
import {
  asTenant,
  fencedBy,
  provision,
  startServerWithTemplate,
  type TestServer,
  tenantPassword,
} from './odoo-server.fixture.ts';
import type { OdooServers } from './odoo-servers.ts';

const password = 'password-of-the-backup-job';
const options = { password, validSeconds: 600 };

describe.each(['system', 'embedded'] as const)('the role of a backup on the %s server', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let template: TemplateKey;

  beforeAll(async () => {
    ({ on, servers, template } = await startServerWithTemplate(version));
  }, 120_000);
  afterAll(async () => await on?.stop());

  const made = async () => {
    const tenant = await provision(on, servers, template);
    const text = 'CREATE TABLE secret_ledger (x int); INSERT INTO secret_ledger VALUES (7); SELECT lo_create(4711)';
    await on.query(text, asTenant(tenant.role, tenant.database));
    return { ...tenant, backup: { user: `${tenant.role}_backup`, password, database: tenant.database } };
  };
  const read = 'SELECT x, (SELECT count(*)::int FROM pg_largeobject_metadata) AS objects FROM secret_ledger';

  test('reads everything of the tenant and writes nothing', async () => {
    const { instance, backup, database } = await made();
    const opened = await servers.backupAccess.open(on.server, fencedBy(instance, 2), options);
    expect(opened).toEqual({ user: backup.user, database });
    expect(await servers.backupAccess.isClosed(on.server, instance.id)).toBe(false);
    expect(await on.query(read, backup)).toEqual([{ x: 7, objects: 1 }]);
    expect(await on.query('SELECT lo_get(4711)', backup)).toHaveLength(1);
    await expect(on.query('INSERT INTO secret_ledger VALUES (8)', backup)).rejects.toMatchObject({ code: '25006' });
  });

  test('has no way to another tenant, and its password is in no statement', async () => {
    const [one, other] = [await made(), await made()];
    await servers.backupAccess.open(on.server, fencedBy(one.instance, 2), options);
    const there = { ...one.backup, database: other.database };
    await expect(on.query('SELECT 1', there)).rejects.toMatchObject({ code: '42501' });
    const rights = `SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication AS much, rolconnlimit AS connections,
      rolvaliduntil < now() + interval '11 minutes' AS "closesItself" FROM pg_roles WHERE rolname = '${one.backup.user}'`;
    expect(await on.query(rights)).toEqual([{ much: false, connections: 4, closesItself: true }]);
  });

  test('is gone with its sessions when the backup has ended', async () => {
    const { instance, backup, role } = await made();
    await servers.backupAccess.open(on.server, fencedBy(instance, 2), options);
    const sleeping = on.query('SELECT pg_sleep(60)', backup);
    const ended = expect(sleeping).rejects.toThrow();
    const sessions = `SELECT FROM pg_stat_activity WHERE usename = '${backup.user}'`;
    await expect.poll(async () => (await on.query(sessions)).length, { timeout: 15_000 }).toBe(1);
    await servers.backupAccess.close(on.server, fencedBy(instance, 2));
    await ended;
    await servers.backupAccess.close(on.server, fencedBy(instance, 2));
    expect(await servers.backupAccess.isClosed(on.server, instance.id)).toBe(true);
    expect(await on.query(`SELECT FROM pg_roles WHERE rolname = '${backup.user}'`)).toEqual([]);
    await expect(on.query(read, backup)).rejects.toMatchObject({ code: '28P01' });
    expect(await on.query('SELECT x FROM secret_ledger', asTenant(role, role))).toEqual([{ x: 7 }]);
  });

  test('takes the password of the last opening only, and lets nobody in whose time is over', async () => {
    const { instance, backup } = await made();
    await servers.backupAccess.open(on.server, fencedBy(instance, 2), { ...options, password: 'of-the-lost-job' });
    await servers.backupAccess.open(on.server, fencedBy(instance, 2), options);
    await expect(on.query(read, { ...backup, password: 'of-the-lost-job' })).rejects.toMatchObject({ code: '28P01' });
    expect(await on.query(read, backup)).toHaveLength(1);
    await servers.backupAccess.open(on.server, fencedBy(instance, 2), { ...options, validSeconds: 0 });
    await expect(on.query(read, backup)).rejects.toMatchObject({ code: '28P01' });
  });

  test('opens a tombstone to nobody but itself, and closes it', async () => {
    const { instance, backup, role } = await made();
    await servers.databases.setAside(on.server, fencedBy(instance, 2));
    const tombstone = `tombstone_${instance.id}`;
    const opened = await servers.backupAccess.open(on.server, fencedBy(instance, 3), options);
    expect(opened.database).toBe(tombstone);
    expect(await on.query(read, { ...backup, database: tombstone })).toEqual([{ x: 7, objects: 1 }]);
    const tenant = { user: role, password: tenantPassword, database: tombstone };
    await expect(on.query('SELECT 1', tenant)).rejects.toMatchObject({ code: '28000' });
    await servers.backupAccess.close(on.server, fencedBy(instance, 3));
    expect(await servers.backupAccess.isClosed(on.server, instance.id)).toBe(true);
    const state = `SELECT datallowconn AS open FROM pg_database WHERE datname = '${tombstone}'`;
    expect(await on.query(state)).toEqual([{ open: false }]);
    await servers.databases.purge(on.server, fencedBy(instance, 4));
    expect(await on.query(`SELECT FROM pg_roles WHERE rolname LIKE '${role}%'`)).toEqual([]);
  });

  test('is not opened or closed by one who was overtaken, nor where there is no database', async () => {
    const { instance } = await made();
    await servers.databases.takeOver(on.server, fencedBy(instance, 5));
    const late = { code: 'fenced' };
    await expect(servers.backupAccess.open(on.server, fencedBy(instance, 4), options)).rejects.toMatchObject(late);
    await expect(servers.backupAccess.close(on.server, fencedBy(instance, 4))).rejects.toMatchObject(late);
    const nobody = { instanceId: 'zzzzzzzzzzzz', fence: 1 };
    await expect(servers.backupAccess.open(on.server, nobody, options)).rejects.toMatchObject({ code: 'not-found' });
  });
});

describe.each(['system', 'embedded'] as const)('databases of verifications on the %s server', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let template: TemplateKey;
  const operationId = '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f';
  const name = 'verify_2c3d4e5f_1';
  const wanted = { name, operationId, password, validSeconds: 600 };
  const own = { user: name, password, database: name };
  const fenced = { instanceId: 'abcdefgh2345', fence: 3 };

  beforeAll(async () => {
    ({ on, servers, template } = await startServerWithTemplate(version));
  }, 120_000);
  afterAll(async () => await on?.stop());

  test('are empty, their role’s own, and closed to every tenant', async () => {
    const { role } = await provision(on, servers, template);
    await servers.verifications.create(on.server, fenced, wanted);
    await on.query('CREATE EXTENSION pg_trgm; CREATE TABLE t (x int); SELECT lo_create(1)', own);
    await expect(on.query('SELECT 1', asTenant(role, name))).rejects.toMatchObject({ code: '42501' });
    await expect(on.query('CREATE ROLE other', own)).rejects.toMatchObject({ code: '42501' });
    // what a dump holds is run as this role: what it says of its database is not believed
    await on.query(`COMMENT ON DATABASE ${name} IS 'fleet: verification of operation ${'-'.repeat(36)}'`, own);
    expect(await servers.verifications.list(on.server)).toEqual([{ database: name, operation: '2c3d4e5f' }]);
  });

  test('are made anew over what a lost Job has left, its sessions included', async () => {
    const lost = on.query('SELECT pg_sleep(60)', own);
    const ended = expect(lost).rejects.toThrow();
    const sessions = `SELECT FROM pg_stat_activity WHERE usename = '${name}'`;
    await expect.poll(async () => (await on.query(sessions)).length, { timeout: 15_000 }).toBe(1);
    await servers.verifications.create(on.server, fenced, { ...wanted, password: 'a-new-one' });
    await ended;
    const again = { ...own, password: 'a-new-one' };
    expect(await on.query("SELECT FROM pg_class WHERE relname = 't'", again)).toEqual([]);
    await expect(on.query('SELECT 1', own)).rejects.toMatchObject({ code: '28P01' });
  });

  test('are not made or dropped by one who was overtaken', async () => {
    const late = { ...fenced, fence: 2 };
    await expect(servers.verifications.create(on.server, late, wanted)).rejects.toMatchObject({ code: 'fenced' });
    await expect(servers.verifications.drop(on.server, late, name)).rejects.toMatchObject({ code: 'fenced' });
    expect(await servers.verifications.isThere(on.server, name)).toBe(true);
  });

  test('go with their role, and the sweep takes what nobody knows', async () => {
    await servers.verifications.drop(on.server, fenced, name);
    await servers.verifications.drop(on.server, fenced, name);
    expect(await servers.verifications.isThere(on.server, name)).toBe(false);
    await servers.verifications.create(on.server, fenced, wanted);
    await servers.verifications.sweep(on.server, name);
    expect(await servers.verifications.list(on.server)).toEqual([]);
    expect(await on.databasesLike('verify|making|trash')).toEqual([]);
    expect(await on.query("SELECT FROM pg_roles WHERE rolname LIKE 'verify%'")).toEqual([]);
  });

  test.each(['odoo_abcdefgh2345', 'verify_2c3d4e5f', 'postgres'])('%s is the name of none', async (other) => {
    await expect(servers.verifications.sweep(on.server, other)).rejects.toMatchObject({ code: 'invalid-request' });
    const create = servers.verifications.create(on.server, fenced, { ...wanted, name: other });
    await expect(create).rejects.toMatchObject({ code: 'invalid-request' });
  });
});
