import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fencedBy, provision, startServerWithTemplate, type TestServer } from './odoo-server.fixture.ts';
import type { OdooServers } from './odoo-servers.ts';

describe.each(['system', 'embedded'] as const)('on the %s server', (version) => {
  let on: TestServer;
  let servers: OdooServers;
  let end: () => Promise<unknown>;
  let made: Awaited<ReturnType<typeof provision>>;

  beforeAll(async () => {
    const started = await startServerWithTemplate(version);
    ({ on, servers } = started);
    end = () => on.stop();
    made = await provision(on, servers, started.template);
    await provision(on, servers, started.template);
  }, 120_000);
  afterAll(async () => await end?.());

  test('all that bears an instance’s id is found, wherever it stands, and nothing after its purge', async () => {
    const { instance, database, role } = made;
    const list = () => servers.traces.list(on.server, instance.id);
    const live = await list();
    expect(live).toEqual({
      databases: [{ name: database, bytes: expect.any(Number) }],
      roles: [role, `${role}_owner`],
    });
    expect(live.databases[0]?.bytes).toBeGreaterThan(1_000_000);

    await servers.databases.setAside(on.server, fencedBy(instance, 2));
    await on.query(`CREATE DATABASE "forgotten_${instance.id}_copy"`);
    const aside = [`forgotten_${instance.id}_copy`, `tombstone_${instance.id}`];
    expect((await list()).databases.map(({ name }) => name)).toEqual(aside);

    await servers.databases.purge(on.server, fencedBy(instance, 2));
    expect(await list()).toMatchObject({ databases: [{ name: aside[0] }], roles: [] });
    await on.query(`DROP DATABASE "${aside[0]}"`);
    expect(await list()).toEqual({ databases: [], roles: [] });
  });
});
