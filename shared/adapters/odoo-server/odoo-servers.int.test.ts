import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fencedBy, someInstance, startTestServer, type TestServer } from './odoo-server.fixture.ts';
import { type OdooServersOptions, openOdooServers } from './odoo-servers.ts';

let on: TestServer;
beforeAll(async () => {
  on = await startTestServer('system');
});
afterAll(() => on.stop());

/** The failure of reaching a server, and of a call that prepares it first. */
async function failuresOf(options: Partial<OdooServersOptions>, changed: Partial<TestServer['server']>) {
  const servers = openOdooServers({ adminPassword: () => on.adminPassword, ...options });
  const server = { ...on.server, ...changed };
  try {
    return await Promise.all([
      servers.reach(server).catch((error: unknown) => error),
      servers.databases.hasRoles(server, someInstance().id).catch((error: unknown) => error),
    ]);
  } finally {
    await servers.end();
  }
}

test('a wrong password is a misconfiguration that names the key and not the password', async () => {
  for (const failure of await failuresOf({ adminPassword: () => 'wrong-password-55' }, {})) {
    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('secret_key') });
    expect(JSON.stringify(failure) + String(failure)).not.toContain('wrong-password-55');
  }
});

test('a missing key and an unsafe sslMode say what to add and what to use', async () => {
  for (const failure of await failuresOf({ adminPassword: () => undefined }, { secretKey: 'db-7' })) {
    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('add key "db-7"') });
  }
  for (const failure of await failuresOf({}, { sslMode: 'prefer' })) {
    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('verify-full') });
  }
  for (const failure of await failuresOf({}, { sslMode: 'verify-full' })) {
    expect(failure).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('SSL') });
  }
});

test('a role without CREATEDB and CREATEROLE is not an admin', async () => {
  await on.query("CREATE ROLE weak LOGIN PASSWORD 'weak'");
  const [reached] = await failuresOf({ adminPassword: () => 'weak' }, { adminUser: 'weak' });
  expect(reached).toMatchObject({ code: 'misconfigured', message: expect.stringContaining('CREATEDB') });
});

test('a server that refuses connections is unavailable', async () => {
  for (const failure of await failuresOf({}, { port: 1 })) expect(failure).toMatchObject({ code: 'unavailable' });
});

test('a server that accepts and says nothing is unavailable after the connect timeout', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const servers = openOdooServers({ adminPassword: () => on.adminPassword });
  const failure = await servers.reach({ ...on.server, port }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'unavailable' });
  await servers.end();
  silent.close();
});

test('a server that was away is used again as soon as it is back', async () => {
  const servers = on.open();
  const instance = someInstance();
  await servers.databases.takeOver(on.server, fencedBy(instance, 1));
  await on.query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'fleet_admin'");
  // the pool may learn of the loss by its next query only
  await expect
    .poll(() => servers.databases.hasRoles(on.server, instance.id).catch((error: { code: string }) => error.code), {
      timeout: 15_000,
    })
    .toBe(false);
});

test('a database that a superuser is in stays for the next sweep and holds nothing up', async () => {
  const servers = on.open();
  await on.query('CREATE DATABASE trash_a OWNER fleet_admin');
  await on.query('CREATE DATABASE trash_b OWNER fleet_admin');
  const watching = on.query('SELECT pg_sleep(60)', { database: 'trash_a' }).catch(() => undefined);
  const own = on.query('SELECT pg_sleep(60)', { database: 'trash_b', user: 'fleet_admin' }).catch(() => undefined);
  const inside = () => on.query("SELECT pid FROM pg_stat_activity WHERE datname LIKE 'trash%'");
  await expect.poll(inside, { timeout: 15_000 }).toHaveLength(2);
  expect(await servers.sweep(on.server)).toEqual(['trash_b']);
  await own;
  await on.query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'trash_a'");
  await watching;
  expect(await servers.sweep(on.server)).toEqual(['trash_a']);
});

test('twenty calls at once share a few connections, and none is left open in a database', async () => {
  const servers = on.open();
  const instances = Array.from({ length: 20 }, someInstance);
  await Promise.all(
    instances.map(async (instance) => {
      await servers.databases.createRoles(on.server, fencedBy(instance, 1), { password: 'p', connectionLimit: 1 });
      await servers.databases.createEmpty(on.server, fencedBy(instance, 1));
      expect(await servers.databases.lookDatabase(on.server, instance.id)).toBe('empty');
    }),
  );
  const stats = servers.stats()[on.server.id];
  expect(stats).toMatchObject({ waiting: 0, unpooled: 0, unpooledWaiting: 0 });
  expect(stats?.total).toBeLessThanOrEqual(4);
});
