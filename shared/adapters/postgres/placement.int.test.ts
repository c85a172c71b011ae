import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import { operationRecords } from './operation-records.ts';
import { insertOperation } from './operation-requests.ts';
import { placement } from './placement.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(() =>
  database.query('truncate operations, operation_steps, inbox, instances, suspensions, db_servers cascade'),
);

/** An instance with an operation whose lease is held. */
async function begin(number: number): Promise<{ instanceId: string; operation: { id: string; fence: number } }> {
  const instanceId = testInstanceId(number);
  const id = newOperationId();
  await insertTestInstance(database, instanceId);
  const common = { id, instanceId, kind: 'provision', definitionVersion: 1, deadlineMs: 60_000 } as const;
  await insertOperation(database, { ...common, idempotencyKey: id, requestedBy: 'x', cause: 'x', request: {} });
  await operationRecords(database).take(id, { ...common, knownVersions: [1], holder: 'test', leaseMs: 30_000 });
  return { instanceId, operation: { id, fence: 1 } };
}
const place = ({ instanceId, operation }: Awaited<ReturnType<typeof begin>>) =>
  placement(database).place(operation, instanceId);
const release = ({ instanceId, operation }: Awaited<ReturnType<typeof begin>>) =>
  placement(database).release(operation, instanceId);
async function counts(): Promise<Record<string, { counted: number; placed: number }>> {
  const { rows } = await database.query<{ id: string; counted: number; placed: number }>(
    `select id, instance_count as counted,
       (select count(*)::integer from instances where db_server_id = db_servers.id) as placed from db_servers`,
  );
  return Object.fromEntries(rows.map(({ id, ...rest }) => [id, rest]));
}

describe('a placement', () => {
  test('is counted with the instance', async () => {
    await insertServer(database, { id: 'one', maxInstances: 2 });
    expect(await place(await begin(1))).toEqual({
      id: 'one',
      host: 'db.example',
      port: 5432,
      adminUser: 'fleet_admin',
      secretKey: 'one',
      sslMode: 'verify-full',
    });
    expect(await counts()).toEqual({ one: { counted: 1, placed: 1 } });
  });

  test('of fifty at once for a server with room for ten succeeds for exactly ten', async () => {
    await insertServer(database, { id: 'one', maxInstances: 10 });
    const begun = await Promise.all(Array.from({ length: 50 }, (_, number) => begin(number)));
    const results = await Promise.allSettled(begun.map(place));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    const reasons = results.flatMap((one) =>
      one.status === 'rejected' ? [(one.reason as { code: string }).code] : [],
    );
    expect(new Set(reasons)).toEqual(new Set(['no-capacity']));
    expect(await counts()).toEqual({ one: { counted: 10, placed: 10 } });
  });

  test('fills every server before it says that there is no room', async () => {
    for (const id of ['one', 'two', 'three']) await insertServer(database, { id, maxInstances: 4 });
    const begun = await Promise.all(Array.from({ length: 20 }, (_, number) => begin(number)));
    const results = await Promise.allSettled(begun.map(place));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(12);
    const full = { counted: 4, placed: 4 };
    expect(await counts()).toEqual({ one: full, two: full, three: full });
  });

  test('asked for twice, also at once, is the same one and counted once', async () => {
    for (const id of ['one', 'two']) await insertServer(database, { id, maxInstances: 5 });
    const begun = await begin(1);
    const servers = await Promise.all(Array.from({ length: 5 }, () => place(begun)));
    expect(new Set(servers.map(({ id }) => id)).size).toBe(1);
    expect(
      Object.values(await counts())
        .map(({ counted }) => counted)
        .sort((a, b) => a - b),
    ).toEqual([0, 1]);
  });

  test('takes the lower priority first, then the emptier server', async () => {
    for (const id of ['one', 'two', 'three']) await insertServer(database, { id, maxInstances: 5 });
    await database.query(`update db_servers set priority = 200 where id = 'one'`);
    const chosen: string[] = [];
    for (let number = 0; number < 4; number += 1) chosen.push((await place(await begin(number))).id);
    expect(chosen).toEqual(['three', 'two', 'three', 'two']);
  });

  test.each([
    [`status = 'maintenance'`, /0 active, 0 of them never reached/],
    ['reached_at = null', /1 active, 1 of them never reached/],
    ['max_instances = 0', /1 active, 0 of them never reached/],
  ])('finds no room on a server with %s, and says what to do', async (change, message) => {
    await insertServer(database, { id: 'one', maxInstances: 5 });
    await database.query(`update db_servers set ${change}`);
    const refusal = await place(await begin(1)).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'no-capacity', message: expect.stringMatching(message) });
    expect((refusal as Error).message).toContain('Add a server or raise max_instances');
  });

  test('under an old fence is refused, and counts nothing', async () => {
    await insertServer(database, { id: 'one', maxInstances: 5 });
    const begun = await begin(1);
    await database.query('update operations set fence = 2');
    await expect(place(begun)).rejects.toMatchObject({ code: 'fenced' });
    expect(await counts()).toEqual({ one: { counted: 0, placed: 0 } });
    await place({ ...begun, operation: { ...begun.operation, fence: 2 } });
    await expect(release(begun)).rejects.toMatchObject({ code: 'fenced' });
    expect(await counts()).toEqual({ one: { counted: 1, placed: 1 } });
  });
});

describe('a release', () => {
  test('gives the room back once, however often it is asked for', async () => {
    await insertServer(database, { id: 'one', maxInstances: 1 });
    const first = await begin(1);
    const second = await begin(2);
    await place(first);
    await expect(place(second)).rejects.toMatchObject({ code: 'no-capacity' });
    await Promise.all([release(first), release(first), release(first)]);
    expect(await counts()).toEqual({ one: { counted: 0, placed: 0 } });
    await place(second);
    await release(first);
    expect(await counts()).toEqual({ one: { counted: 1, placed: 1 } });
  });

  test('of an instance that is nowhere changes nothing', async () => {
    await insertServer(database, { id: 'one', maxInstances: 1 });
    await release(await begin(1));
    expect(await counts()).toEqual({ one: { counted: 0, placed: 0 } });
  });

  test('and placements at once keep the count right', async () => {
    for (const id of ['one', 'two']) await insertServer(database, { id, maxInstances: 20 });
    const begun = await Promise.all(Array.from({ length: 20 }, (_, number) => begin(number)));
    await Promise.all(begun.slice(0, 10).map(place));
    await Promise.all([...begun.slice(0, 10).map(release), ...begun.slice(10).map(place)]);
    const found = Object.values(await counts());
    expect(found.every(({ counted, placed }) => counted === placed)).toBe(true);
    expect(found.reduce((sum, { placed }) => sum + placed, 0)).toBe(10);
  });
});

test('a server for verifications is never chosen, however empty and early it is', async () => {
  await insertServer(database, { id: 'one', maxInstances: 1 });
  await insertServer(database, { id: 'verify', maxInstances: 50 });
  await database.query(`update db_servers set purpose = 'verification', priority = 1 where id = 'verify'`);
  expect((await place(await begin(1))).id).toBe('one');
  await expect(place(await begin(2))).rejects.toThrow(/has room \(1 active/);
  expect(await counts()).toMatchObject({ verify: { counted: 0, placed: 0 } });
  const change = database.query(`update db_servers set purpose = 'verification' where id = 'one'`);
  await expect(change).rejects.toMatchObject({ facts: { constraint: 'db_servers_verification_is_empty' } });
});
