import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { TemplateKey } from '#shared/domain/instance/ports.ts';
import {
  adminOnePassword,
  buildTemplate,
  fencedBy,
  personalOf,
  provision,
  someInstance,
  someTemplate,
  startTestServer,
  type TestServer,
  tenantPassword,
} from './odoo-server.fixture.ts';
import type { OdooServers } from './odoo-servers.ts';

describe.each(['system', 'embedded'] as const)('fences on the %s PostgreSQL', (version) => {
  let on: TestServer;
  let older: OdooServers;
  let newer: OdooServers;
  let template: TemplateKey;

  beforeAll(async () => {
    on = await startTestServer(version);
    older = on.open();
    newer = on.open();
    template = someTemplate();
    await buildTemplate(on, older, template);
  });
  afterAll(() => on.stop());

  /** A session of an older holder that stands still at a point of our choosing, as one under SIGSTOP does. */
  async function standStill(
    name: string,
    options: { database: string; statements: string; as?: TestServer['superuser'] },
  ): Promise<Client> {
    const { host, port, adminUser } = on.server;
    const { user, password } = options.as ?? { user: adminUser, password: on.adminPassword };
    const client = new Client({ host, port, user, password, database: options.database, application_name: name });
    client.on('error', () => undefined);
    await client.connect();
    await client.query(options.statements);
    return client;
  }
  const sessions = (name: string) => on.query(`SELECT pid FROM pg_stat_activity WHERE application_name = '${name}'`);

  test('after a takeover every call of the older holder is refused, and nothing of its is left', async () => {
    const instance = someInstance();
    const old = fencedBy(instance, 4);
    const options = { password: tenantPassword, connectionLimit: 5 };
    await older.databases.takeOver(on.server, old);
    await older.warm.refill(on.server, template, { target: 1, atMost: 1 });
    await newer.databases.takeOver(on.server, fencedBy(instance, 5));
    const calls = {
      takeOver: () => older.databases.takeOver(on.server, old),
      createRoles: () => older.databases.createRoles(on.server, old, options),
      createEmpty: () => older.databases.createEmpty(on.server, old),
      claimWarm: () => older.databases.claimWarm(on.server, old, template),
      cloneTemplate: () => older.databases.cloneTemplate(on.server, old, template),
      personalise: () => older.databases.personalise(on.server, old, personalOf(instance)),
      remove: () => older.databases.remove(on.server, old),
    };
    for (const [name, call] of Object.entries(calls)) {
      await expect(call(), name).rejects.toMatchObject({ code: 'fenced' });
    }
    expect(await newer.databases.lookDatabase(on.server, instance.id)).toBe('absent');
    expect(await newer.databases.hasRoles(on.server, instance.id)).toBe(false);
    expect(await on.query(`SELECT 1 AS one FROM pg_database WHERE datname ~ '${instance.id}'`)).toEqual([]);
    await newer.databases.createRoles(on.server, fencedBy(instance, 5), options);
    // the same and a higher fence go on
    await newer.databases.takeOver(on.server, fencedBy(instance, 5));
    expect(await newer.databases.claimWarm(on.server, fencedBy(instance, 6), template)).toBe(true);
  });

  test('a holder that lost the fence between CREATE and RENAME takes its database away', async () => {
    const instance = someInstance();
    await older.databases.takeOver(on.server, fencedBy(instance, 1));
    // CREATE waits for the catalogue until it is let go
    const lock = { database: 'postgres', statements: 'BEGIN; LOCK TABLE pg_database IN SHARE MODE', as: on.superuser };
    const catalogue = await standStill('catalogue', lock);
    const cloning = older.databases.cloneTemplate(on.server, fencedBy(instance, 1), template);
    // caught in the log, which has every statement before it runs
    await expect
      .poll(() => readFile(on.logFile, 'utf8'), { timeout: 15_000, interval: 1 })
      .toContain(`CREATE DATABASE "making_${instance.id}_1"`);
    await on.query(`UPDATE fence SET n = 2 WHERE instance_id = '${instance.id}'`, { database: 'fleet_control' });
    await catalogue.end();
    await expect(cloning).rejects.toMatchObject({ code: 'fenced' });
    expect(await on.query(`SELECT 1 AS one FROM pg_database WHERE datname ~ '${instance.id}'`)).toEqual([]);
  });

  test('what a killed holder left half-made is dropped by the next one, or by the sweep', async () => {
    const instance = someInstance();
    const orphan = someInstance();
    await on.query(`CREATE DATABASE making_${instance.id}_3 OWNER fleet_admin`);
    await on.query(`CREATE DATABASE making_${orphan.id}_3 OWNER fleet_admin`);
    await on.query(`CREATE DATABASE trash_${orphan.id}_2 OWNER fleet_admin`);
    await newer.databases.takeOver(on.server, fencedBy(orphan, 3));
    expect(await newer.sweep(on.server)).toEqual([`trash_${orphan.id}_2`]);
    await newer.databases.takeOver(on.server, fencedBy(orphan, 4));
    expect(await newer.sweep(on.server)).toEqual([`making_${orphan.id}_3`]);
    await newer.databases.cloneTemplate(on.server, fencedBy(instance, 4), template);
    expect(await on.query(`SELECT datname FROM pg_database WHERE datname ~ '${instance.id}'`)).toEqual([
      { datname: `odoo_${instance.id}` },
    ]);
  });

  test('a takeover waits for a holder that is about to finish', async () => {
    const instance = someInstance();
    await older.databases.takeOver(on.server, fencedBy(instance, 1));
    const name = `fleet:${instance.id}:1`;
    const holder = await standStill(name, {
      database: 'fleet_control',
      statements: `BEGIN; UPDATE fence SET n = 1 WHERE instance_id = '${instance.id}'`,
    });
    // by the server itself, long before the second is over that it is waited for: it is not ended before
    const finishing = holder.query('SELECT pg_sleep(0.2); COMMIT');
    await newer.databases.takeOver(on.server, fencedBy(instance, 2));
    await finishing;
    await holder.end();
  });

  test('a takeover ends the sessions of a holder that stands still, and no others', async () => {
    const instance = someInstance();
    const bystander = someInstance();
    await older.databases.createRoles(on.server, fencedBy(instance, 7), {
      password: tenantPassword,
      connectionLimit: 5,
    });
    await older.databases.cloneTemplate(on.server, fencedBy(instance, 7), template);
    const database = `odoo_${instance.id}`;
    await standStill(`fleet:${instance.id}:7`, {
      database: 'fleet_control',
      statements: `BEGIN; UPDATE fence SET n = 7 WHERE instance_id = '${instance.id}'`,
    });
    await standStill(`fleet:${instance.id}:7`, {
      database,
      statements: `BEGIN; UPDATE ir_config_parameter SET value = 'of the older holder'`,
    });
    const other = await standStill(`fleet:${bystander.id}:1`, { database: 'fleet_control', statements: 'SELECT 1' });
    const same = await standStill(`fleet:${instance.id}:8`, { database: 'fleet_control', statements: 'SELECT 1' });
    expect(await sessions(`fleet:${instance.id}:7`)).toHaveLength(2);
    await newer.databases.takeOver(on.server, fencedBy(instance, 8));
    expect(await sessions(`fleet:${instance.id}:7`)).toEqual([]);
    await other.query('SELECT 1');
    await same.query('SELECT 1');
    await Promise.all([other.end(), same.end()]);
    await newer.databases.personalise(on.server, fencedBy(instance, 8), personalOf(instance));
    expect(await newer.databases.isPersonalised(on.server, instance)).toBe(true);
  });

  test('a takeover succeeds though a session ends by itself while another one is ended', async () => {
    const instance = someInstance();
    const name = `fleet:${instance.id}:7`;
    const idle = { database: 'fleet_control', statements: 'SELECT 1' };
    const clients = [await standStill(name, idle), await standStill(name, idle)];
    // in the order in which they are ended
    const [first, second] = (await on.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = '${name}'`,
    )) as [{ pid: number }, { pid: number }];
    process.kill(first.pid, 'SIGSTOP');
    onTestFinished(() => {
      try {
        process.kill(first.pid, 'SIGCONT');
      } catch {
        // it has ended
      }
    });
    const taking = newer.databases.takeOver(on.server, fencedBy(instance, 8));
    const ending = `SELECT FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
      AND query ~ 'pg_terminate_backend'`;
    await expect.poll(() => on.query(ending), { timeout: 15_000 }).toHaveLength(1);
    await clients.find((client) => (client as unknown as { processID: number }).processID === second.pid)?.end();
    await expect.poll(() => sessions(name), { timeout: 15_000 }).toHaveLength(1);
    process.kill(first.pid, 'SIGCONT');
    await taking;
    expect(await sessions(name)).toEqual([]);
  });

  test('personalise that is taken over in the middle commits nothing', async () => {
    const instance = someInstance();
    const database = `odoo_${instance.id}`;
    await older.databases.createRoles(on.server, fencedBy(instance, 1), {
      password: tenantPassword,
      connectionLimit: 5,
    });
    await older.databases.cloneTemplate(on.server, fencedBy(instance, 1), template);
    // holds the older one up inside the database, after its fence was checked
    const blocker = await standStill('blocker', {
      database,
      statements: 'BEGIN; LOCK TABLE ir_config_parameter IN EXCLUSIVE MODE',
    });
    const late = older.databases.personalise(on.server, fencedBy(instance, 1), personalOf(instance));
    const outcome = late.then(
      () => 'committed',
      (error: { code: string }) => error.code,
    );
    await expect.poll(() => sessions(`fleet:${instance.id}:1`), { timeout: 15_000 }).toHaveLength(2);
    await newer.databases.takeOver(on.server, fencedBy(instance, 2));
    // it waits for the lock twice as long as a newer holder waits for it, and a paused machine lets both be over
    expect(['unavailable', 'conflict']).toContain(await outcome);
    await blocker.end();
    expect(await newer.databases.isPersonalised(on.server, instance)).toBe(false);
    await expect(
      older.databases.personalise(on.server, fencedBy(instance, 1), personalOf(instance)),
    ).rejects.toMatchObject({ code: 'fenced' });
    await newer.databases.personalise(on.server, fencedBy(instance, 2), personalOf(instance));
    expect(await newer.databases.isPersonalised(on.server, instance)).toBe(true);
  });

  test('personalise whose control session dies before its COMMIT commits nothing', async () => {
    const instance = someInstance();
    const database = `odoo_${instance.id}`;
    const fenced = fencedBy(instance, 1);
    await older.databases.createRoles(on.server, fenced, { password: tenantPassword, connectionLimit: 5 });
    await older.databases.cloneTemplate(on.server, fenced, template);
    const blocker = await standStill('blocker', {
      database,
      statements: 'BEGIN; LOCK TABLE ir_config_parameter IN EXCLUSIVE MODE',
    });
    const outcome = older.databases.personalise(on.server, fenced, personalOf(instance)).then(
      () => 'committed',
      (error: { code: string }) => error.code,
    );
    await expect.poll(() => sessions(`fleet:${instance.id}:1`), { timeout: 15_000 }).toHaveLength(2);
    // only the session that holds the fence: as if the one inside had been opened after the search for it
    await on.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE application_name = 'fleet:${instance.id}:1' AND datname = 'fleet_control'`,
    );
    await blocker.end();
    expect(await outcome).toBe('unavailable');
    expect(await older.databases.isPersonalised(on.server, instance)).toBe(false);
    await older.databases.personalise(on.server, fenced, personalOf(instance));
    expect(await older.databases.isPersonalised(on.server, instance)).toBe(true);
  });

  test('no password is in the log of a server that logs every statement', async () => {
    const { database, role } = await provision(on, older, template);
    const [row] = await on.query<{ value: string }>(
      "SELECT value FROM ir_config_parameter WHERE key = 'database.secret'",
      {
        database,
        user: role,
        password: tenantPassword,
      },
    );
    const log = await readFile(on.logFile, 'utf8');
    expect(log).toContain(`CREATE ROLE "${role}"`);
    expect(log).toContain('UPDATE ONLY public.res_users');
    for (const secret of [tenantPassword, adminOnePassword, on.adminPassword, row?.value ?? 'missing']) {
      expect(log.includes(secret)).toBe(false);
    }
  });
});
