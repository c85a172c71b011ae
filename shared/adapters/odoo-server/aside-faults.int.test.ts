import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TemplateKey } from '#shared/domain/instance/ports.ts';
import {
  buildTemplate,
  fencedBy,
  provision,
  someInstance,
  someTemplate,
  startTestServer,
  type TestServer,
  tenantPassword,
} from './odoo-server.fixture.ts';
import type { OdooServers } from './odoo-servers.ts';
import { openLossyWay, openSession, terminateWaiting } from './sessions.fixture.ts';

describe.each(['system', 'embedded'] as const)('faults while setting aside on the %s PostgreSQL', (version) => {
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

  const placeOf = (instanceId: string) => newer.databases.whereabouts(on.server, instanceId);
  /** Where the database is, whether it takes connections, and whether the tenant may log in. */
  async function stateOf(instanceId: string) {
    const [row] = await on.query<{ open: boolean; login: boolean }>(
      `SELECT datallowconn AS open, rolcanlogin AS login FROM pg_database, pg_roles
       WHERE datname ~ '^(odoo|tombstone)_${instanceId}$' AND rolname = 'odoo_${instanceId}'`,
    );
    return { place: await placeOf(instanceId), ...row };
  }
  const asLive = { place: 'live', open: true, login: true };
  const asAside = { place: 'aside', open: false, login: false };

  /** Another session's lock on the database keeps a RENAME waiting. */
  const holdDatabase = (name: string) =>
    openSession(on, {}, `BEGIN; COMMENT ON DATABASE ${name} IS 'not kept'; SELECT 1`);

  test('a backend that is terminated in the middle of the rename has changed nothing', async () => {
    const { instance, database } = await provision(on, older, template);
    const fenced = fencedBy(instance, 2);
    for (const { call, name, before, after } of [
      { call: 'setAside', name: database, before: { ...asLive, login: false }, after: asAside },
      { call: 'bringBack', name: `tombstone_${instance.id}`, before: asAside, after: asLive },
    ] as const) {
      const holder = await holdDatabase(name);
      const outcome = older.databases[call](on.server, fenced).catch((error: { code: string }) => error.code);
      await terminateWaiting(on, 'RENAME TO');
      expect(await outcome, call).toBe('unavailable');
      await holder.end();
      expect(await stateOf(instance.id), call).toEqual(before);
      await older.databases[call](on.server, fenced);
      expect(await stateOf(instance.id), call).toEqual(after);
    }
    expect(await older.databases.isPersonalised(on.server, instance)).toBe(true);
  });

  test('a clone whose backend is terminated in the middle of CREATE DATABASE leaves nothing, and is made again', async () => {
    const large = someTemplate();
    await buildTemplate(on, older, large);
    const name = `template_${large.digest}`;
    await on.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    await on.query("CREATE TABLE bulk AS SELECT i, repeat('x', 1000) FROM generate_series(1, 100000) AS i", {
      database: name,
    });
    await on.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    const { instance, fenced } = await struckWhileCloning(large);
    expect(await on.query(`SELECT datname FROM pg_database WHERE datname ~ '${instance.id}'`)).toEqual([]);
    expect(await older.databases.cloneTemplate(on.server, fenced, large)).toBe(true);
    expect(await older.databases.lookDatabase(on.server, instance.id)).toBe('initialised');
  });

  /**
   * The copying has begun once the new database has files. It lasts a tenth of a second: the server looks by itself, and on
   * a busy machine may come too late.
   */
  async function struckWhileCloning(large: ReturnType<typeof someTemplate>) {
    const outcomes: unknown[] = [];
    for (let tries = 1; tries <= 5; tries += 1) {
      const instance = someInstance();
      const fenced = fencedBy(instance, 1);
      outcomes.push(await strikeWhileCloning(fenced, large));
      if (outcomes.at(-1) === 'unavailable') return { instance, fenced };
    }
    throw new Error(`no clone was met while it was copied: ${outcomes.join(', ')}`);
  }

  async function strikeWhileCloning(fenced: ReturnType<typeof fencedBy>, large: ReturnType<typeof someTemplate>) {
    const striking = on.query(
      `DO $$ BEGIN
         FOR tries IN 1 .. 1000000 LOOP
           PERFORM pg_stat_clear_snapshot();
           PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE query ~ '^CREATE DATABASE "making_${fenced.instanceId}' AND pid <> pg_backend_pid() AND state = 'active'
               AND (SELECT count(*) FROM pg_ls_dir('base') AS d (oid)) > (SELECT count(*) FROM pg_database);
           EXIT WHEN FOUND;
         END LOOP;
       END $$`,
    );
    await expect
      .poll(() => on.query("SELECT FROM pg_stat_activity WHERE state = 'active' AND query ~ '^DO'"), {
        timeout: 15_000,
      })
      .toHaveLength(1);
    const struck = striking.catch(() => undefined);
    const outcome = await older.databases
      .cloneTemplate(on.server, fenced, large)
      .catch((error: { code: string }) => error.code);
    await on.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query ~ '^DO'");
    await struck;
    return outcome;
  }

  test('a lost answer to any COMMIT says that it must be looked up, and the call can be said again', async () => {
    const way = await openLossyWay(on.server);
    const through = on.open();
    try {
      await through.prepare(way.server);
      const { instance } = await provision(on, older, template);
      const fenced = fencedBy(instance, 2);
      for (const [call, commits, after] of [
        // the login, the sessions, the rename
        ['setAside', 3, asAside],
        ['bringBack', 1, asLive],
        ['repairOwnership', 1, asLive],
      ] as const) {
        for (let lost = 1; lost <= commits; lost += 1) {
          if (call === 'setAside') await newer.databases.bringBack(on.server, fenced);
          way.lose(lost);
          await expect(through.databases[call](way.server, fenced), `${call} ${lost}`).rejects.toMatchObject({
            code: 'outcome-unknown',
          });
          expect(way.wasLost()).toBe(true);
          await through.databases[call](way.server, fenced);
          expect(await stateOf(instance.id), `${call} ${lost}`).toEqual(after);
        }
      }
      await newer.databases.setAside(on.server, fenced);
      for (let lost = 1; lost <= 3; lost += 1) {
        way.lose(lost);
        await expect(through.databases.purge(way.server, fenced), `purge ${lost}`).rejects.toMatchObject({
          code: 'outcome-unknown',
        });
      }
      await through.databases.purge(way.server, fenced);
      expect(await placeOf(instance.id)).toBe('absent');
    } finally {
      way.close();
    }
  });

  test('an older holder changes nothing after a newer one has brought the database back', async () => {
    const { instance, database, role } = await provision(on, older, template);
    const old = fencedBy(instance, 2);
    await older.databases.setAside(on.server, old);
    await newer.databases.bringBack(on.server, fencedBy(instance, 3));
    const tenant = await openSession(on, { database, user: role, password: tenantPassword });
    const { databases } = older;
    const baseUrl = 'https://older.example.com';
    const calls = {
      setAside: () => databases.setAside(on.server, old),
      bringBack: () => databases.bringBack(on.server, old),
      cutSessions: () => databases.cutSessions(on.server, old),
      setBaseUrl: () => databases.setBaseUrl(on.server, old, { password: tenantPassword, baseUrl }),
      repairOwnership: () => databases.repairOwnership(on.server, old),
      purge: () => databases.purge(on.server, old),
    };
    for (const [name, call] of Object.entries(calls)) {
      await expect(call(), name).rejects.toMatchObject({ code: 'fenced' });
    }
    expect(await stateOf(instance.id)).toEqual(asLive);
    await tenant.query('SELECT 1');
    await tenant.end();
  });

  test('an older holder that is overtaken in the middle of its rename does not finish it', async () => {
    const { instance, database } = await provision(on, older, template);
    const holder = await holdDatabase(database);
    const outcome = older.databases.setAside(on.server, fencedBy(instance, 2)).catch((e: { code: string }) => e.code);
    await expect
      .poll(
        () =>
          on.query(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'RENAME TO \"tombstone'",
          ),
        { timeout: 15_000 },
      )
      .toHaveLength(1);
    await newer.databases.takeOver(on.server, fencedBy(instance, 3));
    // its session may be ended while it renames, or when it has given that up for a moment, in a COMMIT that renames nothing
    expect(['unavailable', 'outcome-unknown', 'fenced']).toContain(await outcome);
    expect(await stateOf(instance.id)).toEqual({ ...asLive, login: false });
    await holder.end();
    expect(await stateOf(instance.id)).toEqual({ ...asLive, login: false });
    await newer.databases.bringBack(on.server, fencedBy(instance, 3));
    expect(await stateOf(instance.id)).toEqual(asLive);
  });

  test('two at once end where one of them wanted to, whole', async () => {
    const { instance } = await provision(on, older, template);
    const fenced = fencedBy(instance, 2);
    const settle = (calls: Promise<void>[]) => Promise.allSettled(calls);
    await settle([older.databases.setAside(on.server, fenced), newer.databases.setAside(on.server, fenced)]);
    await newer.databases.setAside(on.server, fenced);
    expect(await stateOf(instance.id)).toEqual(asAside);
    const both = await settle([
      older.databases.bringBack(on.server, fenced),
      newer.databases.bringBack(on.server, fenced),
    ]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(await stateOf(instance.id)).toEqual(asLive);
    // different ones: the higher fence has the last word, whenever the lower one comes
    await settle([
      older.databases.setAside(on.server, fenced),
      newer.databases.bringBack(on.server, fencedBy(instance, 3)),
    ]);
    await newer.databases.bringBack(on.server, fencedBy(instance, 3));
    expect(await stateOf(instance.id)).toEqual(asLive);
    await newer.databases.setAside(on.server, fencedBy(instance, 3));
    await settle([
      older.databases.purge(on.server, fencedBy(instance, 3)),
      newer.databases.purge(on.server, fencedBy(instance, 3)),
    ]);
    await newer.databases.purge(on.server, fencedBy(instance, 3));
    expect(await placeOf(instance.id)).toBe('absent');
  });
});
