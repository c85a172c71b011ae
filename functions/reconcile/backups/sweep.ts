import { randomUUID } from 'node:crypto';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { listActiveDatabaseServers } from '#shared/adapters/postgres/database-servers.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import type { VerificationDatabases, WorkerJobs } from '#shared/domain/backup/job-ports.ts';

const everyMs = 60_000;
const atMost = 20;

export type BackupSweep = {
  database: Database;
  holder: string;
  jobs: Pick<WorkerJobs, 'list' | 'remove'>;
  verifications: Pick<VerificationDatabases, 'list' | 'sweep'>;
  onTrouble: (what: string, error: unknown) => void;
};

/** Of things that belong to operations, those whose operation is over or in no record. */
async function ofNobody<One extends { operationId: string | null }>(
  queryable: Queryable,
  things: readonly One[],
): Promise<One[]> {
  const ids = things.flatMap(({ operationId }) => operationId ?? []);
  const { rows } = await queryable.query<{ id: string }>(
    `select id from operations where id = any($1::uuid[]) and state in ('queued', 'running', 'waiting')`,
    [ids],
  );
  const atWork = new Set(rows.map(({ id }) => id));
  return things.filter(({ operationId }) => operationId === null || !atWork.has(operationId));
}

/**
 * Takes away what lost operations have left: Jobs of the worker, and databases of verifications, whose operation is over.
 * Once a minute, in one of the processes. Returns a function for every tick.
 */
export function makeBackupSweep(sweep: BackupSweep): () => Promise<{ removed: number }> {
  const { database, jobs, verifications, onTrouble } = sweep;
  return async () => {
    const lease = { name: 'backup-sweep', holder: `${sweep.holder} ${randomUUID()}` };
    if (!(await takeLease(database, { ...lease, leaseMs: everyMs }))) return { removed: 0 };
    let removed = 0;
    const each = async <One extends { operationId: string | null }>(
      things: readonly One[],
      take: (one: One) => Promise<void>,
    ) => {
      for (const one of (await ofNobody(database, things)).slice(0, atMost)) {
        await take(one);
        removed += 1;
      }
    };
    try {
      await each(await jobs.list(), ({ name }) => jobs.remove(name));
    } catch (error) {
      await releaseLease(database, lease);
      onTrouble('Jobs of backups', error);
    }
    const servers = await listActiveDatabaseServers(database);
    for (const { server } of servers.filter((one) => one.purpose === 'verification' && one.reachedAt !== null)) {
      try {
        await each(await verifications.list(server), (one) => verifications.sweep(server, one.database));
      } catch (error) {
        onTrouble(`verifications on server ${server.id}`, error);
      }
    }
    return { removed };
  };
}
