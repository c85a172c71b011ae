import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertCatalogue, insertTestInstance } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database, Queryable } from './database.ts';
import { activeOperation, failOperation, nextQueued, succeedOperation, takeDueOperations } from './operation-ends.ts';
import { operationRecords } from './operation-records.ts';
import { findRequested, insertOperation, requestCancel, retryOperation } from './operation-requests.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
  await insertTestInstance(database, 'abcdefgh2345');
  await insertTestInstance(database, 'bbbbbbbbbbbb');
});
beforeEach(() => database.query('truncate operations, operation_steps, inbox cascade'));

const version = { definitionVersion: 1, knownVersions: [1] };
const retry = { ...version, deadlineMs: 60_000 };

async function queue({ instanceId = 'abcdefgh2345', key = newOperationId(), request = {} as unknown } = {}) {
  const id = newOperationId();
  await insertOperation(database, {
    id,
    instanceId,
    kind: 'provision',
    ...version,
    deadlineMs: 60_000,
    idempotencyKey: key,
    requestedBy: 'urn:test',
    cause: 'event-1',
    request,
  });
  return id;
}

async function take(operationId: string) {
  const options = { kind: 'provision', knownVersions: [1], holder: 'test', leaseMs: 30_000 };
  const taken = await operationRecords(database).take(operationId, options);
  if (!taken.taken) throw new Error(`not taken: ${taken.because}`);
  return { operationId, fence: taken.operation.fence };
}

async function fail(operationId: string): Promise<void> {
  const lease = await take(operationId);
  const step = { step: 'database', attempt: 5, before: null, leaseMs: 30_000 };
  await operationRecords(database).beginStep(lease, step);
  await database.transaction((transaction) =>
    failOperation(transaction, lease, { failure: new Failure('job-failed', 'The Job failed.') }),
  );
}

async function row(operationId: string): Promise<Record<string, unknown>> {
  const { rows } = await database.query<Record<string, unknown>>(
    'select *, deadline > now() as "inTime" from operations where id = $1',
    [operationId],
  );
  return rows[0] ?? {};
}

test('an idempotency key stands for one request of an instance and kind', async () => {
  const request = { name: 'acme', settings: { a: [1, 'ä', null] } };
  const id = await queue({ key: 'order-1', request });
  const key = { instanceId: 'abcdefgh2345', kind: 'provision', idempotencyKey: 'order-1' } as const;
  expect(await findRequested(database, key)).toEqual({ id, request });
  expect(await findRequested(database, { ...key, instanceId: 'bbbbbbbbbbbb' })).toBeUndefined();
  expect(await findRequested(database, { ...key, idempotencyKey: 'order-2' })).toBeUndefined();
  await expect(queue({ key: 'order-1' })).rejects.toMatchObject({ code: 'constraint-violated' });
});

test('an operation is behind those that were noted before it, though its transaction began before theirs', async () => {
  const common = { instanceId: 'abcdefgh2345', kind: 'provision', definitionVersion: 1, deadlineMs: 60_000 } as const;
  const note = (transaction: Queryable, id: string) =>
    insertOperation(transaction, { ...common, id, idempotencyKey: id, requestedBy: 'x', cause: 'x', request: {} });
  const [late, early] = [newOperationId(), newOperationId()];
  await database.transaction(async (transaction) => {
    await transaction.query('select 1');
    await database.transaction((other) => note(other, early));
    await note(transaction, late);
  });
  const { rows } = await database.query<{ id: string }>('select id from operations order by created_at, id');
  expect(rows.map(({ id }) => id)).toEqual([early, late]);
});

describe('a retry', () => {
  test('continues a failed operation at its step, in a new round and with a new deadline', async () => {
    const id = await queue();
    await fail(id);
    await database.query(`update operations set deadline = now() - interval '1 h'`);
    expect(await retryOperation(database, id, retry)).toBe(true);
    expect(await row(id)).toMatchObject({
      state: 'queued',
      step: 'database',
      attempt: 1,
      round: 2,
      error_code: null,
      error_text: null,
      finished_at: null,
      inTime: true,
    });
    expect(await take(id)).toMatchObject({ fence: 2 });
    expect(await retryOperation(database, id, retry)).toBe(false);
  });

  test('by another version begins at the first step', async () => {
    const id = await queue();
    await fail(id);
    expect(await retryOperation(database, id, { ...retry, definitionVersion: 2 })).toBe(true);
    expect(await row(id)).toMatchObject({ state: 'queued', step: null, definition_version: 2 });
  });

  test('begins one anew that waits with steps of a version nobody knows, but not while somebody works on it', async () => {
    const id = await queue();
    const lease = await take(id);
    await queue();
    const other = { ...retry, definitionVersion: 2, knownVersions: [2, 3] };
    expect(await retryOperation(database, id, other)).toBe(false);
    const { beginStep, wait } = operationRecords(database);
    await beginStep(lease, { step: 'database', attempt: 1, before: null, leaseMs: 30_000 });
    await wait(lease, { step: 'database', for: 'a Job', checkAfterMs: 60_000 });
    expect(await retryOperation(database, id, { ...other, knownVersions: [2, 1] })).toBe(false);
    expect(await retryOperation(database, id, other)).toBe(true);
    expect(await row(id)).toMatchObject({ state: 'queued', step: null, definition_version: 2, round: 2, inTime: true });
    expect(await retryOperation(database, id, other)).toBe(false);
  });

  test('means nothing to one that is not failed', async () => {
    const id = await queue();
    expect(await retryOperation(database, id, retry)).toBe(false);
    const lease = await take(id);
    expect(await retryOperation(database, id, retry)).toBe(false);
    await database.transaction((transaction) => succeedOperation(transaction, lease, {}));
    expect(await retryOperation(database, id, retry)).toBe(false);
    expect(await retryOperation(database, newOperationId(), retry)).toBe(false);
  });

  test.each(['queued', 'succeeded', 'failed'])('is refused after a later operation that has %s', async (state) => {
    const id = await queue();
    await fail(id);
    const later = await queue();
    if (state === 'failed') await fail(later);
    if (state === 'succeeded') {
      const lease = await take(later);
      await database.transaction((transaction) => succeedOperation(transaction, lease, {}));
    }
    expect(await retryOperation(database, id, retry)).toBe(false);
    expect(await requestCancel(database, id, version)).toBe(false);
    expect(await row(id)).toMatchObject({ state: 'failed', round: 1, cancel_requested: false });
  });

  test('goes on after a later one that was cancelled, or one of another instance', async () => {
    const id = await queue();
    await fail(id);
    const later = await queue();
    await database.query(`update operations set state = 'cancelled' where id = $1`, [later]);
    await queue({ instanceId: 'bbbbbbbbbbbb' });
    expect(await retryOperation(database, id, retry)).toBe(true);
  });
});

describe('a cancel', () => {
  test('of one that waits for its turn is carried out when its turn comes', async () => {
    const first = await queue();
    const second = await queue();
    const lease = await take(first);
    expect(await requestCancel(database, second, version)).toBe(true);
    expect(await row(second)).toMatchObject({ state: 'queued', cancel_requested: true });
    await expect(take(second)).rejects.toThrow('queued');
    await database.transaction((transaction) => succeedOperation(transaction, lease, {}));
    expect(await nextQueued(database, 'abcdefgh2345')).toMatchObject({ id: second });
    expect(await take(second)).toMatchObject({ fence: 2 });
  });

  test('of a running one leaves it to its holder, and tells him', async () => {
    const id = await queue();
    const lease = await take(id);
    expect(await requestCancel(database, id, version)).toBe(true);
    expect(await row(id)).toMatchObject({ state: 'running', cancel_requested: true, woken: true });
    const wait = { step: 'x', for: 'a Job', checkAfterMs: 60_000 };
    expect(await operationRecords(database).wait(lease, wait)).toBe('woken');
  });

  test('of a waiting one is due at once', async () => {
    const id = await queue();
    const lease = await take(id);
    await operationRecords(database).wait(lease, { step: 'x', for: 'a Job', checkAfterMs: 600_000 });
    expect(await takeDueOperations(database, { limit: 9, holdOffMs: 0 })).toEqual([]);
    expect(await requestCancel(database, id, version)).toBe(true);
    expect(await takeDueOperations(database, { limit: 9, holdOffMs: 0 })).toMatchObject([{ id }]);
  });

  test('of a failed one brings it back, with time to undo', async () => {
    const id = await queue();
    await fail(id);
    await database.query(`update operations set deadline = now() - interval '1 h'`);
    expect(await requestCancel(database, id, { definitionVersion: 2, knownVersions: [2] })).toBe(true);
    expect(await row(id)).toMatchObject({
      state: 'queued',
      cancel_requested: true,
      definition_version: 2,
      error_code: null,
      finished_at: null,
      inTime: true,
    });
  });

  test('said twice is said once, and to one that has ended it means nothing', async () => {
    const id = await queue();
    expect(await requestCancel(database, id, version)).toBe(true);
    expect(await requestCancel(database, id, version)).toBe(true);
    const lease = await take(id);
    await database.transaction((transaction) => succeedOperation(transaction, lease, {}));
    expect(await requestCancel(database, id, version)).toBe(false);
    expect(await row(id)).toMatchObject({ state: 'succeeded' });
    expect(await requestCancel(database, newOperationId(), version)).toBe(false);
  });
});

describe('what is due', () => {
  const due = (holdOffMs = 60_000, limit = 50) => takeDueOperations(database, { limit, holdOffMs });

  test('a new operation at once, a waiting one after its time, a held one when its lease ran out', async () => {
    const id = await queue();
    expect(await due()).toMatchObject([{ id, instanceId: 'abcdefgh2345', kind: 'provision' }]);
    const lease = await take(id);
    expect(await due()).toEqual([]);
    await operationRecords(database).wait(lease, { step: 'x', for: 'a Job', checkAfterMs: 0 });
    expect(await due()).toMatchObject([{ id }]);
    await take(id);
    await database.query(`update operations set lease_until = now() - interval '1 s', next_check_at = lease_until`);
    await database.query(`update operations set next_check_at = now() - interval '1 s'`);
    expect(await due()).toMatchObject([{ id }]);
  });

  test('is told once within the hold-off, and stays due since when it was', async () => {
    await queue();
    await database.query(`update operations set next_check_at = now() - interval '30 s'`);
    expect((await due())[0]?.overdueMs).toBeGreaterThan(29_000);
    expect(await due()).toEqual([]);
    await database.query(`update operations set told_at = told_at - interval '61 s'`);
    const [again] = await due();
    // what says that nobody came for it
    expect(again?.overdueMs).toBeGreaterThan(29_000);
  });

  test('is told again at once after somebody has taken it meanwhile', async () => {
    const id = await queue();
    await due();
    const lease = await take(id);
    await operationRecords(database).wait(lease, { step: 'x', for: 'a Job', checkAfterMs: 0 });
    expect(await due()).toMatchObject([{ id }]);
  });

  test('two ticks at once share it', async () => {
    const ids: string[] = [];
    for (let number = 0; number < 30; number += 1) ids.push(await queue());
    const ticks = await Promise.all(Array.from({ length: 5 }, () => due(60_000, 10)));
    const told = ticks.flat().map(({ id }) => id);
    expect(new Set(told).size).toBe(told.length);
    const rest = await due(60_000, 50);
    expect([...told, ...rest.map(({ id }) => id)].sort()).toEqual(ids.toSorted());
  });

  test('the longest waiting come first', async () => {
    const [young, old] = [await queue(), await queue({ instanceId: 'bbbbbbbbbbbb' })];
    await database.query(`update operations set next_check_at = now() - interval '9 s' where id = $1`, [old]);
    expect((await due(0)).map(({ id }) => id)).toEqual([old, young]);
    expect((await due(0, 1)).map(({ id }) => id)).toEqual([old]);
  });

  test('one that is queued behind another is not due before its turn', async () => {
    const [first, second] = [await queue(), await queue()];
    const lease = await take(first);
    expect(await activeOperation(database, 'abcdefgh2345')).toMatchObject({ id: first });
    expect(await due(0)).toEqual([]);
    await database.transaction((transaction) => succeedOperation(transaction, lease, {}));
    expect(await activeOperation(database, 'abcdefgh2345')).toBeUndefined();
    expect(await due(0)).toMatchObject([{ id: second }]);
  });

  test('what has ended is never due', async () => {
    await fail(await queue());
    expect(await due(0)).toEqual([]);
  });
});
