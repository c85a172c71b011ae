import { randomUUID } from 'node:crypto';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { listActiveDatabaseServers } from '#shared/adapters/postgres/database-servers.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import type { VerificationDatabases, WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import type { LoadDatabases } from '#shared/domain/backup/load-ports.ts';
import { shortOperationId } from '#shared/domain/operation/identifiers.ts';

const everyMs = 60_000;
const atMost = 20;

/** Jobs that the tick itself starts, after the operation they are marked with. */
const ofTheTick = /-tidy-[0-9a-f]{8}-\d+$/;

export type BackupSweep = {
  database: Database;
  holder: string;
  jobs: Pick<WorkerJobs, 'list' | 'remove'>;
  verifications: Pick<VerificationDatabases, 'list' | 'sweep'>;
  loads: Pick<LoadDatabases, 'list' | 'sweep'>;
  onTrouble: (what: string, error: unknown) => void;
};

/** Of things that belong to operations, known by their short ids, those whose operation is over or in no record. */
async function ofNobody<One extends { operation: string }>(
  queryable: Queryable,
  things: readonly One[],
): Promise<One[]> {
  if (things.length === 0) return [];
  const { rows } = await queryable.query<{ operation: string }>(
    `select right(replace(id::text, '-', ''), 8) as operation from operations
     where state in ('queued', 'running', 'waiting') and right(replace(id::text, '-', ''), 8) = any($1)`,
    [things.map(({ operation }) => operation)],
  );
  const atWork = new Set(rows.map(({ operation }) => operation));
  return things.filter(({ operation }) => !atWork.has(operation));
}

/**
 * Takes away what lost operations have left: Jobs of the worker, and databases of verifications and of loads, whose operation is over.
 * Once a minute, in one of the processes. Returns a function for every tick.
 */
export function makeBackupSweep(sweep: BackupSweep): () => Promise<{ removed: number }> {
  const { database, jobs, verifications, loads, onTrouble } = sweep;
  return async () => {
    const lease = { name: 'backup-sweep', holder: `${sweep.holder} ${randomUUID()}` };
    if (!(await takeLease(database, { ...lease, leaseMs: everyMs }))) return { removed: 0 };
    let removed = 0;
    const each = async <One extends { operation: string }>(
      things: readonly One[],
      take: (one: One) => Promise<void>,
    ) => {
      for (const one of (await ofNobody(database, things)).slice(0, atMost)) {
        // one that cannot be removed keeps no other waiting
        try {
          await take(one);
          removed += 1;
        } catch (error) {
          onTrouble('what a lost operation has left', error);
        }
      }
    };
    try {
      const ofOperations = (await jobs.list()).filter(({ name }) => !ofTheTick.test(name));
      const named = ofOperations.map(({ name, operationId }) => ({
        name,
        operation: operationId === null ? '' : shortOperationId(operationId),
      }));
      await each(named, ({ name }) => jobs.remove(name));
    } catch (error) {
      await releaseLease(database, lease);
      onTrouble('Jobs of backups', error);
    }
    const servers = await listActiveDatabaseServers(database);
    for (const { server, purpose } of servers.filter((one) => one.reachedAt !== null)) {
      const databases = purpose === 'verification' ? verifications : loads;
      try {
        await each(await databases.list(server), (one) => databases.sweep(server, one.database));
      } catch (error) {
        onTrouble(`databases of Jobs on server ${server.id}`, error);
      }
    }
    return { removed };
  };
}
