import { afterAll, beforeAll, expect, test } from 'vitest';
import { controlDatabase } from './object-names.ts';
import { fencedBy, someInstance, startTestServer, type TestServer } from './odoo-server.fixture.ts';

// What the records take for done on an Odoo server must outlive its crash, also where its own settings say otherwise.

let on: TestServer;
beforeAll(async () => {
  on = await startTestServer('system');
  await on.query(`alter system set wal_writer_delay = '10s'`);
  await on.query('select pg_reload_conf()');
});
afterAll(() => on?.stop());

const fenceOf = (instanceId: string) =>
  on.query(`select n::int from fence where instance_id = '${instanceId}'`, { database: controlDatabase });

test('what was done under a fence is there after a crash of a server that answers before its log is on disk', async () => {
  expect(await on.query('show synchronous_commit')).toEqual([{ synchronous_commit: 'off' }]);
  const { databases } = on.open();
  const instance = someInstance();
  await databases.takeOver(on.server, fencedBy(instance, 1));
  // so that nothing but this change waits for the disk
  await on.query('checkpoint');
  await databases.takeOver(on.server, fencedBy(instance, 7));
  await on.crash();
  expect(await fenceOf(instance.id)).toEqual([{ n: 7 }]);
});
