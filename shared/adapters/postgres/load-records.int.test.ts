import { beforeAll, beforeEach, expect, test } from 'vitest';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { beginAfresh, insertBackup, insertPlacedInstance } from './backup-records.fixture.ts';
import type { Database } from './database.ts';
import { loadRecords } from './load-records.ts';
import { insertOperation } from './operation-requests.ts';

const platform = platformOfThisFile();
let database: Database;
let instanceId: string;
let backupId: string;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await database.query('truncate restores, loads cascade');
  await beginAfresh(database);
  instanceId = await insertPlacedInstance(database, 1);
  backupId = await insertBackup(database, instanceId);
});

type State = 'queued' | 'succeeded' | 'failed' | 'cancelled';

/** A load of an operation in this state, in its second round. */
async function loadOf(state: State, id = instanceId): Promise<string> {
  const operationId = newOperationId();
  const common = {
    id: operationId,
    instanceId: id,
    kind: 'restore',
    definitionVersion: 1,
    deadlineMs: 60_000,
  } as const;
  const of = { idempotencyKey: operationId, requestedBy: 'x', cause: 'x', request: {} };
  await insertOperation(database, { ...common, ...of });
  await database.query(
    `update operations set state = $2, error_code = 'x', error_text = 'x',
       finished_at = case when $2 <> 'queued' then clock_timestamp() end where id = $1`,
    [operationId, state],
  );
  await database.query(
    `insert into loads (id, instance_id, server_id, round, job_key, state)
     select $1, i.id, i.db_server_id, 2, 'k', 'running' from instances i where i.id = $2`,
    [operationId, id],
  );
  return operationId;
}

async function insertRestore(id: string, state: 'running' | 'switched' | 'failed', code = 'x'): Promise<void> {
  await database.query(
    `insert into restores (id, instance_id, server_id, backup_id, state, round, job_key, switched_at, error_code, error_text)
     select $1, i.id, i.db_server_id, $3, $4, 1, 'k', now(), $5, 'x' from instances i where i.id = $2`,
    [id, instanceId, backupId, state, code],
  );
}

test('loads that are over are those of operations that have ended, of this instance alone, and whose files are in place', async () => {
  const mine = await loadOf('queued');
  await loadOf('failed', await insertPlacedInstance(database, 2));
  await loadOf('queued');
  await insertRestore(await loadOf('cancelled'), 'switched');
  await insertRestore(await loadOf('failed'), 'running');
  await insertRestore(await loadOf('cancelled'), 'failed', 'cancelled');
  const over = [await loadOf('failed'), await loadOf('succeeded'), await loadOf('cancelled')];
  await insertRestore(over[0] ?? '', 'failed');
  const found = await loadRecords(database).listOver(mine, instanceId);
  expect(found).toEqual(over.toReversed().map((id) => ({ id, round: 2 })));
  expect((await loadRecords(database).listOver(over[0] ?? '', instanceId)).map(({ id }) => id)).toEqual(
    over.slice(1).toReversed(),
  );
});
