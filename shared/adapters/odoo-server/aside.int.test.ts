import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Fenced, TemplateKey } from '#shared/domain/instance/ports.ts';
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
import { openSession } from './sessions.fixture.ts';

describe.each(['system', 'embedded'] as const)('setting aside on the %s PostgreSQL', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let template: TemplateKey;

  beforeAll(async () => {
    ({ on, servers, template } = await startServerWithTemplate(version));
  });
  afterAll(() => on.stop());

  const placeOf = (instanceId: string) => servers.databases.whereabouts(on.server, instanceId);

  test('a database goes aside and comes back as it was, however often each is said', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    const fenced = fencedBy(instance, 2);
    await on.query("INSERT INTO res_partner (name) VALUES ('a customer of his')", asTenant(role, database));
    expect(await placeOf(someInstance().id)).toBe('absent');
    expect(await placeOf(instance.id)).toBe('live');

    for (let time = 1; time <= 2; time += 1) {
      await servers.databases.setAside(on.server, fenced);
      expect(await placeOf(instance.id)).toBe('aside');
    }
    expect(await servers.databases.lookDatabase(on.server, instance.id)).toBe('absent');
    expect(await servers.databases.isPersonalised(on.server, instance)).toBe(false);
    expect(await servers.databases.wasUsed(on.server, instance.id)).toBe(false);
    expect(await servers.databases.hasRoles(on.server, instance.id)).toBe(true);
    const tombstone = `tombstone_${instance.id}`;
    await expect(on.query('SELECT 1', asTenant(role, 'postgres'))).rejects.toThrow(/not permitted to log in/);
    await expect(on.query('SELECT 1', { database: tombstone })).rejects.toThrow(/not currently accepting connections/);

    for (let time = 1; time <= 2; time += 1) {
      await servers.databases.bringBack(on.server, fenced);
      expect(await placeOf(instance.id)).toBe('live');
    }
    expect(await servers.databases.isPersonalised(on.server, instance)).toBe(true);
    expect(await servers.databases.hasRoles(on.server, instance.id)).toBe(true);
    expect(
      await on.query("SELECT name FROM res_partner WHERE name = 'a customer of his'", asTenant(role, database)),
    ).toHaveLength(1);
  });

  test('a role that may not log in is made able to again, with its password', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    await on.query(`ALTER ROLE ${role} NOLOGIN`);
    expect(await servers.databases.hasRoles(on.server, instance.id)).toBe(true);
    expect(await servers.databases.mayLogIn(on.server, instance.id, { password: tenantPassword })).toBe(false);
    await servers.databases.createRoles(on.server, fencedBy(instance, 2), {
      password: tenantPassword,
      connectionLimit: 7,
    });
    expect(await servers.databases.mayLogIn(on.server, instance.id, { password: tenantPassword })).toBe(true);
    const [limit] = await on.query(`SELECT rolconnlimit FROM pg_roles WHERE rolname = '${role}'`);
    expect(limit).toEqual({ rolconnlimit: 7 });
    await on.query('SELECT 1', asTenant(role, database));
  });

  test('pods that come back after every cut do not hold it up, and get in no more', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    let isOver = false;
    let entries = 0;
    let refusals = 0;
    const pod = async () => {
      while (!isOver) {
        try {
          const session = await openSession(on, asTenant(role, database));
          entries += 1;
          await session.query('SELECT pg_sleep(60)').catch(() => undefined);
          await session.end().catch(() => undefined);
        } catch (error) {
          if (/not permitted to log in/.test(String(error))) refusals += 1;
        }
      }
    };
    const pods = [pod(), pod(), pod()];
    const inside = () => servers.databases.countSessions(on.server, instance.id);
    await expect.poll(inside, { timeout: 15_000 }).toBe(3);
    await servers.databases.setAside(on.server, fencedBy(instance, 2));
    expect(await inside()).toBe(0);
    await expect.poll(() => refusals, { timeout: 15_000 }).toBeGreaterThan(3);
    // the login goes first: after the first cut nobody is back
    expect(entries).toBeLessThanOrEqual(2 * pods.length);
    expect(await placeOf(instance.id)).toBe('aside');
    isOver = true;
    await Promise.all(pods);
  });

  test('somebody who cannot be ended holds it up, with the tenant locked out already', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    const watcher = await openSession(on, { database });
    await expect(servers.databases.setAside(on.server, fencedBy(instance, 2))).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('postgres'),
    });
    expect(await placeOf(instance.id)).toBe('live');
    await expect(on.query('SELECT 1', asTenant(role, database))).rejects.toThrow(/not permitted to log in/);
    await watcher.end();
    await servers.databases.setAside(on.server, fencedBy(instance, 2));
    expect(await placeOf(instance.id)).toBe('aside');
  });

  test('a session that is in the way of the rename only is waited for and tried again', async () => {
    const { instance, database } = await provision(on, servers, template);
    // one of the admin's: it is left out of the cut, and the rename meets it
    const own = await openSession(on, { database, user: 'fleet_admin' });
    const going = servers.databases.setAside(on.server, fencedBy(instance, 2));
    await expect
      .poll(
        () =>
          on.query(
            "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND query ~ 'RENAME TO \"tombstone'",
          ),
        { timeout: 15_000 },
      )
      .toHaveLength(1);
    await own.end();
    await going;
    expect(await placeOf(instance.id)).toBe('aside');
  });

  test('every point a kill can leave it at goes on, forward and back', async () => {
    const { databases } = servers;
    const points = ['NOLOGIN', 'NOLOGIN and renamed', 'renamed but open'] as const;
    for (const point of points) {
      for (const way of ['setAside', 'bringBack'] as const) {
        const { instance, database, role } = await provision(on, servers, template);
        const fenced = fencedBy(instance, 2);
        if (point === 'NOLOGIN') await on.query(`ALTER ROLE ${role} NOLOGIN`);
        else await databases.setAside(on.server, fenced);
        if (point === 'renamed but open') {
          await on.query(`ALTER DATABASE tombstone_${instance.id} ALLOW_CONNECTIONS true; ALTER ROLE ${role} LOGIN`);
        }
        await databases[way](on.server, fenced);
        const [row] = await on.query(
          `SELECT datname, datallowconn, rolcanlogin FROM pg_database, pg_roles
           WHERE datname ~ '${instance.id}' AND rolname = '${role}'`,
        );
        const isLive = way === 'bringBack';
        expect(row, `${way} after ${point}`).toEqual({
          datname: isLive ? database : `tombstone_${instance.id}`,
          datallowconn: isLive,
          rolcanlogin: isLive,
        });
      }
    }
  });

  test('what is not finished goes aside too, and what is only half-made goes', async () => {
    const bare = someInstance();
    const clone = someInstance();
    const fenced = (instance: { id: string }): Fenced => ({ instanceId: instance.id, fence: 3 });
    await on.query(`CREATE DATABASE making_${bare.id}_2 OWNER fleet_admin`);
    await servers.databases.setAside(on.server, fenced(bare));
    expect(await on.databasesLike(bare.id)).toEqual([]);
    expect(await placeOf(bare.id)).toBe('absent');
    await expect(servers.databases.bringBack(on.server, fenced(bare))).rejects.toMatchObject({ code: 'not-found' });

    // claimed, without roles and owner yet
    await servers.warm.refill(on.server, template, { target: 2, atMost: 2 });
    await servers.databases.claimWarm(on.server, fenced(clone), template);
    await servers.databases.setAside(on.server, fenced(clone));
    expect(await on.databasesLike(clone.id)).toEqual([`tombstone_${clone.id}`]);
    await servers.databases.bringBack(on.server, fenced(clone));
    expect(await servers.databases.lookDatabase(on.server, clone.id)).toBe('initialised');
    const pool = (await servers.warm.survey(on.server)).find(({ digest }) => digest === template.digest);
    expect(pool).toMatchObject({ template: 'ready', warm: 1 });
  });

  test('while there is a tombstone nothing is made under the live name', async () => {
    const { instance } = await provision(on, servers, template);
    const fenced = fencedBy(instance, 2);
    await servers.databases.setAside(on.server, fenced);
    await servers.warm.refill(on.server, template, { target: 2, atMost: 2 });
    for (const call of [
      () => servers.databases.claimWarm(on.server, fenced, template),
      () => servers.databases.cloneTemplate(on.server, fenced, template),
      () => servers.databases.createEmpty(on.server, fenced),
      () => servers.databases.remove(on.server, fenced),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'not-allowed' });
    }
    expect(await on.databasesLike(instance.id)).toEqual([`tombstone_${instance.id}`]);
  });

  test('two databases of one instance are never touched', async () => {
    const { instance, database } = await provision(on, servers, template);
    const fenced = fencedBy(instance, 2);
    await servers.databases.setAside(on.server, fenced);
    await on.query(`CREATE DATABASE ${database} OWNER ${database}_owner`);
    await on.query(odooTables, { database });
    expect(await placeOf(instance.id)).toBe('both');
    const { databases } = servers;
    const calls = {
      setAside: () => databases.setAside(on.server, fenced),
      bringBack: () => databases.bringBack(on.server, fenced),
      repairOwnership: () => databases.repairOwnership(on.server, fenced),
      purge: () => databases.purge(on.server, fenced),
      remove: () => databases.remove(on.server, fenced),
      createEmpty: () => databases.createEmpty(on.server, fenced),
      claimWarm: () => databases.claimWarm(on.server, fenced, template),
    };
    for (const [name, call] of Object.entries(calls)) {
      await expect(call(), name).rejects.toMatchObject({
        code: expect.stringMatching(/^(foreign-object|not-allowed)$/),
      });
    }
    expect(await on.databasesLike(instance.id)).toEqual([database, `tombstone_${instance.id}`]);
  });

  test("somebody else's tombstone of that name is not touched", async () => {
    const instance = someInstance();
    const fenced = fencedBy(instance, 1);
    await on.query(`CREATE DATABASE tombstone_${instance.id}`);
    for (const call of [
      () => servers.databases.whereabouts(on.server, instance.id),
      () => servers.databases.setAside(on.server, fenced),
      () => servers.databases.bringBack(on.server, fenced),
      () => servers.databases.purge(on.server, fenced),
      () => servers.databases.claimWarm(on.server, fenced, template),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'foreign-object' });
    }
    expect(await on.databasesLike(instance.id)).toEqual([`tombstone_${instance.id}`]);
  });

  test('a purge drops the tombstone, what is half-made and both roles, and can be said again', async () => {
    const { instance, role } = await provision(on, servers, template);
    const other = await provision(on, servers, template);
    const fenced = fencedBy(instance, 2);
    // a tenant can make this where PUBLIC may connect, and a role that owns it cannot be dropped
    await on.query('SELECT lo_create(0)', asTenant(role, 'postgres'));
    await on.query(`CREATE DATABASE making_${instance.id}_1 OWNER fleet_admin`);
    await servers.databases.setAside(on.server, fenced);
    await servers.databases.purge(on.server, fenced);
    await servers.databases.purge(on.server, fenced);
    expect(await on.databasesLike(instance.id)).toEqual([]);
    expect(await on.query(`SELECT rolname FROM pg_roles WHERE rolname ~ '${instance.id}'`)).toEqual([]);
    expect(await placeOf(instance.id)).toBe('absent');
    expect(await placeOf(other.instance.id)).toBe('live');
    await on.query('SELECT 1', asTenant(other.role, other.database));
  });

  test('no other tenant can keep an instance’s roles by what he gives them, wherever his database is', async () => {
    const purged = await provision(on, servers, template);
    const give = `CREATE TABLE given (id int); ALTER TABLE given ENABLE ROW LEVEL SECURITY;
      GRANT SELECT ON given TO ${purged.role}, ${purged.ownerRole};
      CREATE POLICY theirs ON given TO ${purged.role} USING (true);
      ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ${purged.role}`;
    const [live, aside, out] = [
      await provision(on, servers, template),
      await provision(on, servers, template),
      await provision(on, servers, template),
    ];
    for (const { role, database } of [live, aside, out]) await on.query(give, asTenant(role, database));
    await servers.databases.setAside(on.server, fencedBy(aside.instance, 2));
    const old = `old_${out.instance.id}_3d4e5f00`;
    await on.query(`ALTER DATABASE ${out.database} RENAME TO ${old}`);
    await on.query(`ALTER DATABASE ${old} ALLOW_CONNECTIONS false`);
    await servers.databases.setAside(on.server, fencedBy(purged.instance, 2));
    await servers.databases.purge(on.server, fencedBy(purged.instance, 2));
    expect(await on.query(`SELECT rolname FROM pg_roles WHERE rolname ~ '${purged.instance.id}'`)).toEqual([]);
    // and they have what they had
    await on.query('SELECT id FROM given', asTenant(live.role, live.database));
    const closed = `SELECT datname FROM pg_database WHERE datname IN ('${old}', 'tombstone_${aside.instance.id}') AND NOT datallowconn`;
    expect(await on.query(closed)).toHaveLength(2);
    await servers.databases.bringBack(on.server, fencedBy(aside.instance, 3));
    await on.query('SELECT id FROM given', asTenant(aside.role, aside.database));
  });

  test('a purge refuses a database that is there under its own name, whoever owns it', async () => {
    const { instance, database, role } = await provision(on, servers, template);
    await expect(servers.databases.purge(on.server, fencedBy(instance, 2))).rejects.toMatchObject({
      code: 'not-allowed',
    });
    await on.query('SELECT 1', asTenant(role, database));
    const stranger = someInstance();
    await on.query(`CREATE DATABASE odoo_${stranger.id}`);
    await expect(servers.databases.purge(on.server, fencedBy(stranger, 2))).rejects.toMatchObject({
      code: 'not-allowed',
    });
    expect(await on.databasesLike(stranger.id)).toEqual([`odoo_${stranger.id}`]);
  });
});
