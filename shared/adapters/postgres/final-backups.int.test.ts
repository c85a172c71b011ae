import { beforeAll, beforeEach, expect, test } from 'vitest';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { clearBackups, insertBackup, insertPlacedInstance } from './backup-records.fixture.ts';
import type { Database } from './database.ts';
import { finalBackups } from './final-backups.ts';

const platform = platformOfThisFile();
let database: Database;
let instanceId: string;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await clearBackups(database);
  await insertServer(database, { id: 'one', maxInstances: 50 });
  instanceId = await insertPlacedInstance(database, 1);
  await database.query(
    `update instances set desired_state = 'terminated', status = 'terminated', terminated_at = now() - interval '1 hour',
       purge_after = now(), desired_before = 'running'`,
  );
});
const look = () => finalBackups(database).look(instanceId);
const change = (id: string, set: string) => database.query(`update backups set ${set} where id = $1`, [id]);

test('nothing is proven without a final backup, whatever other backups are', async () => {
  await insertBackup(database, instanceId, { proof: 'proven' });
  expect(await look()).toEqual({ isProven: false, reason: expect.stringContaining('No final backup') });
});

test.each([
  ['was not verified', `proof = 'none'`, 'not verified yet'],
  ['was refuted', `proof = 'refuted', proof_at = now(), proof_text = 'a file is gone'`, 'a file is gone'],
  ['failed', `state = 'failed', error_code = 'x', error_text = 'x'`, 'failed'],
  ['runs', `state = 'running'`, 'is being made'],
  [
    'is older than the termination',
    `started_at = now() - interval '2 hours', proof = 'proven', proof_at = now()`,
    'No final',
  ],
  ['was given up', `state = 'deleting', delete_reason = 'x', proof = 'proven', proof_at = now()`, 'No final backup'],
])('nor by one that %s', async (_, set, why) => {
  await change(await insertBackup(database, instanceId, { kind: 'final' }), set);
  expect(await look()).toEqual({ isProven: false, reason: expect.stringContaining(why) });
});

test('one that was proven stays the proof when another is made after it', async () => {
  await insertBackup(database, instanceId, { kind: 'final', proof: 'proven' });
  expect(await look()).toEqual({ isProven: true });
  await insertBackup(database, instanceId, { kind: 'final' });
  expect(await look()).toEqual({ isProven: true });
});

test('another instance’s is none of it, and neither is one of an instance that is not terminated', async () => {
  const other = await insertPlacedInstance(database, 2);
  await insertBackup(database, other, { kind: 'final', proof: 'proven' });
  expect(await look()).toMatchObject({ isProven: false });
  expect(await finalBackups(database).look(other)).toMatchObject({ isProven: false });
  expect(await finalBackups(database).look('zzzzzzzzzzzz')).toMatchObject({ isProven: false });
});
