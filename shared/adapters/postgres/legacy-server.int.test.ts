import { beforeAll, beforeEach, expect, test } from 'vitest';
import { insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import { listActiveDatabaseServers } from './database-servers.ts';
import { releaseLease, takeLease } from './leases.ts';
import { adoptLegacyServer, legacySecretKey } from './legacy-server.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(() => {
  database = platform();
});
beforeEach(() => database.query('truncate db_servers, leases cascade'));

const legacy = { host: 'old.example', port: 5433, user: 'odoo' };

test('the older platform’s server is written once, and is placeable when it was reached', async () => {
  const answers = await Promise.all(Array.from({ length: 5 }, () => adoptLegacyServer(database, legacy)));
  expect(answers.filter(Boolean)).toHaveLength(1);
  const [found, ...others] = await listActiveDatabaseServers(database);
  expect(others).toEqual([]);
  expect(found).toMatchObject({
    server: { id: 'legacy', host: 'old.example', port: 5433, adminUser: 'odoo', secretKey: legacySecretKey },
    reachedAt: null,
    instanceCount: 0,
  });
});

test('where there is a server of ours the older one is not added', async () => {
  await insertServer(database, { id: 'one', maxInstances: 5 });
  expect(await adoptLegacyServer(database, legacy)).toBe(false);
  expect((await listActiveDatabaseServers(database)).map(({ server }) => server.id)).toEqual(['one']);
});

test('a lease on periodic work is one holder’s until it ends or he gives it back', async () => {
  const lease = { name: 'upkeep', leaseMs: 60_000 };
  const takers = ['one', 'two', 'three', 'four'].map((holder) => takeLease(database, { ...lease, holder }));
  expect((await Promise.all(takers)).filter(Boolean)).toHaveLength(1);
  const { rows } = await database.query<{ holder: string }>('select holder from leases');
  const holder = rows[0]?.holder ?? '';
  await releaseLease(database, { name: 'upkeep', holder: 'somebody else' });
  expect(await takeLease(database, { ...lease, holder: 'five' })).toBe(false);
  await releaseLease(database, { name: 'upkeep', holder });
  expect(await takeLease(database, { ...lease, holder: 'five' })).toBe(true);
  await database.query(`update leases set until = now() - interval '1 s'`);
  expect(await takeLease(database, { ...lease, holder: 'six' })).toBe(true);
  // who was too slow takes nothing from the next one
  await releaseLease(database, { name: 'upkeep', holder: 'five' });
  expect(await takeLease(database, { ...lease, holder: 'seven' })).toBe(false);
});
