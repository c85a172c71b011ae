import { readFile } from 'node:fs/promises';
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

describe.each(['system', 'embedded'] as const)('a survey of the %s PostgreSQL', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let template: TemplateKey;

  beforeAll(async () => {
    ({ on, servers, template } = await startServerWithTemplate(version));
  });
  afterAll(() => on.stop());

  const surveyOf = (instance: { id: string }) => servers.survey(on.server, instance.id.charAt(0));
  /** An instance with the connection limit its role was made with. */
  async function provisioned() {
    const made = await provision(on, servers, template);
    const plan = { ...made.instance.plan, databaseConnections: 5 };
    return { ...made, instance: { ...made.instance, plan } };
  }
  const statements = async () => (await readFile(on.logFile, 'utf8')).split('\n').length;

  test('finds nothing amiss about what the fleet made, in every place it can be', async () => {
    const { instance } = await provisioned();
    const fenced = fencedBy(instance, 2);
    expect((await surveyOf(instance)).driftOf(instance)).toEqual([]);
    await servers.databases.setAside(on.server, fenced);
    const terminated = { ...instance, desiredState: 'terminated' } as const;
    expect((await surveyOf(instance)).driftOf(terminated)).toEqual([]);
    await servers.databases.bringBack(on.server, fenced);
    expect((await surveyOf(instance)).driftOf(instance)).toEqual([]);
  });

  test('tells every drift that is made by hand, and the repairs take it back', async () => {
    const { instance, database, role, ownerRole } = await provisioned();
    const fenced = fencedBy(instance, 2);
    const kinds = async () => (await surveyOf(instance)).driftOf(instance).map(({ kind }) => kind);
    const options = { password: tenantPassword, connectionLimit: 5 };
    for (const [drift, kind] of [
      [`ALTER DATABASE ${database} OWNER TO fleet_admin`, 'database-owner-wrong'],
      [`ALTER DATABASE ${database} ALLOW_CONNECTIONS false`, 'database-closed'],
      [`REVOKE CONNECT ON DATABASE ${database} FROM ${role}`, 'database-grants-wrong'],
      [`GRANT CONNECT ON DATABASE ${database} TO PUBLIC`, 'database-open-to-public'],
    ] as const) {
      await on.query(drift);
      expect(await kinds(), drift).toEqual([kind]);
      expect(await servers.databases.isPersonalised(on.server, instance), drift).toBe(false);
      await servers.databases.repairOwnership(on.server, fenced);
      expect(await kinds(), drift).toEqual([]);
    }
    for (const drift of [
      `ALTER ROLE ${role} NOLOGIN`,
      `ALTER ROLE ${role} CONNECTION LIMIT -1`,
      `ALTER ROLE ${role} CREATEDB`,
      `ALTER ROLE ${ownerRole} LOGIN`,
    ]) {
      await on.query(drift);
      expect(await kinds(), drift).toEqual(['role-wrong']);
      await servers.databases.createRoles(on.server, fenced, options);
      expect(await kinds(), drift).toEqual([]);
    }
    await on.query(`COMMENT ON DATABASE ${database} IS 'changed'`);
    expect(await kinds()).toEqual(['database-unpersonalised']);
    const small = { ...instance, plan: { ...instance.plan, diskGib: 0.001 } };
    expect((await surveyOf(instance)).driftOf(small).map(({ kind }) => kind)).toContain('database-oversized');
    await on.query(`ALTER DATABASE ${database} RENAME TO elsewhere_${version}`);
    expect(await kinds()).toEqual(['database-missing']);
  });

  test("asks for the same few things whatever the number of databases, and for its shard's only", async () => {
    const shard = 'q';
    const names = [...'abcdefghijkl'].map((letter) => `odoo_${shard}${letter.repeat(11)}`);
    const count = async () => {
      const before = await statements();
      await servers.survey(on.server, shard);
      return (await statements()) - before;
    };
    await servers.survey(on.server, shard);
    const few = await count();
    for (const name of names) await on.query(`CREATE DATABASE ${name} TEMPLATE template0 OWNER fleet_admin`);
    expect(await count()).toBe(few);
    const orphansOf = async (which: string) =>
      (await servers.survey(on.server, which)).orphans(new Set()).map(({ name }) => name);
    expect(await orphansOf(shard)).toEqual(expect.arrayContaining(names.map((name) => `database ${name}`)));
    expect((await orphansOf('r')).filter((name) => name.startsWith(`database odoo_${shard}`))).toEqual([]);
    await expect(servers.survey(on.server, 'q|.')).rejects.toMatchObject({ code: 'invalid-request' });
  });

  test('an orphan is put out of use, whole, once, and is no orphan afterwards', async () => {
    const { instance, database, role } = await provisioned();
    const orphansNow = async () =>
      (await surveyOf(instance)).orphans(new Set()).filter(({ instanceId }) => instanceId === instance.id);
    const [orphan, ...others] = await orphansNow();
    expect(others).toEqual([]);
    expect(orphan).toMatchObject({ kind: 'orphan-database', name: `database ${database}`, instanceId: instance.id });
    const tenant = await openSession(on, { database, user: role, password: tenantPassword });
    await orphan?.quarantine?.();
    await orphan?.quarantine?.();
    const name = `quarantine_${instance.id}_1`;
    expect(await on.databasesLike(instance.id)).toEqual([name]);
    expect(await servers.quarantined(on.server)).toContainEqual({ database: name, instanceId: instance.id });
    expect(await orphansNow()).toEqual([]);
    await expect(tenant.query('SELECT 1')).rejects.toThrow();
    await expect(on.query('SELECT 1', { user: role, password: tenantPassword })).rejects.toThrow(/not permitted/);
    // a second one of that id, and the way back by hand
    await on.query(`CREATE DATABASE ${database} OWNER fleet_admin`);
    await (await orphansNow())[0]?.quarantine?.();
    expect(await on.databasesLike(instance.id)).toEqual([name, `quarantine_${instance.id}_2`]);
    await on.query(`ALTER DATABASE ${name} RENAME TO ${database}`);
    await on.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true; ALTER ROLE ${role} LOGIN`);
    expect(await servers.databases.isPersonalised(on.server, instance)).toBe(true);
  });

  test('an orphan that an operation has begun to work on is left to it', async () => {
    const { instance, database } = await provisioned();
    const [orphan] = (await surveyOf(instance)).orphans(new Set()).filter(({ name }) => name.endsWith(database));
    const working = await openSession(
      on,
      { database: 'fleet_control' },
      `BEGIN; UPDATE fence SET n = 9 WHERE instance_id = '${instance.id}'`,
    );
    const outcome = orphan?.quarantine?.().then(
      () => 'done',
      (error: { code: string }) => error.code,
    );
    await expect
      .poll(
        () =>
          on.query("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'INTO public.fence'"),
        { timeout: 15_000 },
      )
      .toHaveLength(1);
    await working.query('COMMIT');
    await working.end();
    expect(await outcome).toBe('fenced');
    expect(await on.databasesLike(instance.id)).toEqual([database]);
  });

  test("somebody else's database is told and cannot be put aside, and a role without a database is told", async () => {
    const stranger = someInstance();
    const bare = someInstance();
    await on.query(`CREATE DATABASE odoo_${stranger.id}; `);
    await servers.databases.createRoles(on.server, fencedBy(bare, 1), { password: 'p', connectionLimit: 1 });
    const [foreign] = (await surveyOf(stranger)).orphans(new Set()).filter((one) => one.instanceId === stranger.id);
    expect(foreign).toMatchObject({ kind: 'orphan-database' });
    expect(foreign).not.toHaveProperty('quarantine');
    const roles = (await surveyOf(bare)).orphans(new Set()).filter((one) => one.instanceId === bare.id);
    expect(roles.map(({ kind, name }) => `${kind} ${name}`).sort()).toEqual([
      `orphan-role role odoo_${bare.id}`,
      `orphan-role role odoo_${bare.id}_owner`,
    ]);
  });
});
