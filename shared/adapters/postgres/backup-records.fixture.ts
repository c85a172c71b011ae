import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { backupRecords } from './backup-records.ts';
import type { Database } from './database.ts';
import { operationRecords } from './operation-records.ts';
import { insertOperation } from './operation-requests.ts';

/** An operation with the lease it is held by. */
export type HeldOperation = { id: string; fence: number };

/** Empties what tests of backups write. */
export async function clearBackups(database: Database): Promise<void> {
  await database.query(
    `truncate operations, operation_steps, inbox, outbox, instances, suspensions, db_servers, backups, verifications,
       exports, instance_keys, backup_requests cascade`,
  );
}

/** An instance that was brought about, on a server that is there. */
export async function insertPlacedInstance(database: Database, number: number, serverId = 'one'): Promise<string> {
  const id = testInstanceId(number);
  await insertTestInstance(database, id);
  await database.query(
    `update instances set observed_generation = 1, status = 'running', db_server_id = $2 where id = $1`,
    [id, serverId],
  );
  return id;
}

/** An operation at work whose lease is held. */
export async function holdOperation(
  database: Database,
  instanceId: string,
  kind: 'backup' | 'verify' | 'export' | 'restore' | 'purge' | 'stop' = 'backup',
): Promise<HeldOperation> {
  const id = newOperationId();
  const common = { id, instanceId, kind, definitionVersion: 1, deadlineMs: 60_000 } as const;
  await insertOperation(database, { ...common, idempotencyKey: id, requestedBy: 'x', cause: 'x', request: {} });
  return await takeOver(database, { id, kind });
}

/** Takes the lease, as another process would: under a higher fence. */
export async function takeOver(database: Database, { id, kind }: { id: string; kind: string }): Promise<HeldOperation> {
  await database.query('update operations set lease_until = now() where id = $1 and lease_until is not null', [id]);
  const taken = await operationRecords(database).take(id, { kind, knownVersions: [1], holder: id, leaseMs: 60_000 });
  if (!taken.taken) throw new Error(`the lease was not taken: ${taken.because}`);
  return { id, fence: taken.operation.fence };
}

export async function endHeld(database: Database, id: string, state: 'succeeded' | 'failed' = 'succeeded') {
  const text = `update operations set state = $2, next_check_at = null, lease_holder = null, lease_until = null,
    error_code = 'internal', error_text = 'x', finished_at = clock_timestamp() where id = $1`;
  await database.query(text, [id, state]);
}

/** What a Job that went well comes to. */
export const aSuccess = (change: { round?: number; snapshotAt?: Date; sha256?: string } = {}) => ({
  round: change.round ?? 1,
  snapshotAt: change.snapshotAt ?? new Date(),
  manifest: { key: 'backups/x/y/manifest', sha256: change.sha256 ?? 'ab'.repeat(32) },
  summary: { odooVersion: '19.0.1.3' },
  sizes: { dumpBytes: 1_000, filesBytes: 5_000_000_000, filesCount: 3, uploadedBytes: 7 },
  lockedUntil: null,
});

type Kind = 'manual' | 'scheduled' | 'final';

/** A backup at work: its intent is written, its operation's lease is held. */
export async function beginBackup(
  database: Database,
  instanceId: string,
  kind: Kind = 'manual',
): Promise<HeldOperation> {
  const operation = await holdOperation(database, instanceId);
  await backupRecords(database).begin(operation, { instanceId, kind, dumpKey: 'dump', filesKey: 'files' });
  return operation;
}

/** A verification that somebody is said to have made. */
export async function setProof(database: Database, id: string, proof: 'proven' | 'refuted' = 'proven'): Promise<void> {
  await database.query('update backups set proof = $2, proof_at = now() where id = $1', [id, proof]);
}

/** What retention does to one, without its reasons. */
export async function setDeleting(database: Database, id: string): Promise<void> {
  await database.query(`update backups set state = 'deleting', delete_reason = 'x' where id = $1`, [id]);
}

/** A backup that succeeded, some days ago. Its operation is over. */
export async function insertBackup(
  database: Database,
  instanceId: string,
  change: { kind?: Kind; daysAgo?: number; proof?: 'proven' | 'refuted' } = {},
): Promise<string> {
  const { kind = 'scheduled', daysAgo = 0 } = change;
  const operation = await holdOperation(database, instanceId);
  const records = backupRecords(database);
  await records.begin(operation, { instanceId, kind, dumpKey: `dump ${operation.id}`, filesKey: 'files' });
  await records.succeed(operation, aSuccess());
  await endHeld(database, operation.id);
  await database.query(
    `update backups set started_at = started_at - $2::float8 * interval '1 day',
       finished_at = finished_at - $2::float8 * interval '1 day',
       snapshot_at = snapshot_at - $2::float8 * interval '1 day' where id = $1`,
    [operation.id, daysAgo],
  );
  if (change.proof !== undefined) await setProof(database, operation.id, change.proof);
  return operation.id;
}

/** No backups and no leases, a server for instances (`one`) and one for verifications (`verify`). */
export async function beginAfresh(database: Database): Promise<void> {
  await clearBackups(database);
  await database.query('truncate leases');
  await insertServer(database, { id: 'one', maxInstances: 50 });
  await insertServer(database, { id: 'verify', maxInstances: 1 });
  await database.query(`update db_servers set purpose = 'verification' where id = 'verify'`);
}
