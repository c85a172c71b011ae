import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import type { Lease } from '#shared/domain/operation/ports.ts';
import type { SeenOperation } from '#shared/testing/contracts/operation-records/world.ts';
import { operationRecordsContract } from '#shared/testing/contracts/operation-records.ts';
import { insertCatalogue, insertTestInstance } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import { cancelOperation, failOperation, succeedOperation } from './operation-ends.ts';
import { operationRecords } from './operation-records.ts';
import { insertOperation, requestCancel } from './operation-requests.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
  await insertTestInstance(database, 'abcdefgh2345');
  await insertTestInstance(database, 'bbbbbbbbbbbb');
});
beforeEach(() => database.query('truncate operations, operation_steps, inbox cascade'));

async function queue({ instanceId = 'abcdefgh2345', deadlineMs = 60_000 } = {}): Promise<string> {
  const id = newOperationId();
  await insertOperation(database, {
    id,
    instanceId,
    kind: 'provision',
    definitionVersion: 1,
    deadlineMs,
    idempotencyKey: id,
    requestedBy: 'urn:test',
    cause: 'event-1',
    request: {},
  });
  return id;
}

describe('the operation records in PostgreSQL', () => {
  operationRecordsContract(() => ({
    records: operationRecords(database),
    queue,
    async look(operationId) {
      const { rows } = await database.query<SeenOperation>(
        `select state, step, attempt, fence, waiting_for as "waitingFor",
           extract(epoch from next_check_at - clock_timestamp())::float8 * 1000 as "dueInMs"
         from operations where id = $1`,
        [operationId],
      );
      if (rows[0] === undefined) throw new Error(`no operation ${operationId}`);
      return rows[0];
    },
    async steps(operationId) {
      const { rows } = await database.query<{ step: string; attempt: number; fence: number; outcome: string | null }>(
        'select step, attempt, fence, outcome from operation_steps where operation_id = $1 order by started_at',
        [operationId],
      );
      return rows;
    },
    requestCancel: async (operationId) =>
      void (await requestCancel(database, operationId, { definitionVersion: 1, knownVersions: [1] })),
    endBackOff: async (operationId) => {
      await database.query('update operations set not_before = null where id = $1', [operationId]);
    },
    expireLease: async (operationId) => {
      await database.query(`update operations set lease_until = clock_timestamp() - interval '1 s' where id = $1`, [
        operationId,
      ]);
    },
    end: (lease: Lease, state) =>
      database.transaction(async (transaction) => {
        if (state === 'succeeded') return await succeedOperation(transaction, lease, {});
        if (state === 'cancelled') return await cancelOperation(transaction, lease);
        return await failOperation(transaction, lease, { failure: new Failure('job-failed', 'The Job failed.') });
      }),
  }));
});

test('a failure whose text holds anything at all can be noted', async () => {
  const id = await queue();
  const records = operationRecords(database);
  const options = { kind: 'provision', knownVersions: [1], holder: 'one', leaseMs: 30_000 };
  const nasty = new Failure('unavailable', `line\nNUL\u0000 half \ud800 ${'long '.repeat(1_000)}`);
  await records.take(id, options);
  await records.beginStep({ operationId: id, fence: 1 }, { step: 'one', attempt: 1, before: null, leaseMs: 30_000 });
  await records.tryLater({ operationId: id, fence: 1 }, { step: 'one', attempt: 2, failure: nasty, afterMs: 0 });
  const noted = await database.query<{ error_text: string }>('select error_text from operation_steps');
  expect(noted.rows[0]?.error_text).toMatch(/^line NUL  half \ufffd long /);
  expect(noted.rows[0]?.error_text).toHaveLength(1_000);
  await records.take(id, options);
  await database.transaction((transaction) =>
    failOperation(transaction, { operationId: id, fence: 2 }, { failure: nasty }),
  );
  const failed = await database.query<{ error_code: string; error_text: string }>(
    'select error_code, error_text from operations',
  );
  expect(failed.rows).toEqual([{ error_code: 'unavailable', error_text: noted.rows[0]?.error_text }]);
});
