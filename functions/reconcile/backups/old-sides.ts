import { randomBytes, randomUUID } from 'node:crypto';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { findDatabaseServer } from '#shared/adapters/postgres/database-servers.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import { releaseLease, takeLease } from '#shared/adapters/postgres/leases.ts';
import {
  holdOffOldSide,
  isOfPurged,
  markOldSideDropped,
  type OldSide,
  takeOldSides,
} from '#shared/adapters/postgres/old-side-records.ts';
import { workerJobName } from '#shared/domain/backup/job-names.ts';
import type { WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import { oldSideName } from '#shared/domain/backup/load-names.ts';
import type { TidyOrder } from '#shared/domain/backup/order.ts';
import type { RestoreSides } from '#shared/domain/backup/restore-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooDataFolder } from '#shared/domain/instance/odoo-conf.ts';
import type { TenantCluster } from '#shared/domain/instance/ports.ts';
import type { WorkerStartPorts } from '#shared/steps/backup/worker-run.ts';

const everyMs = 10_000;
const atMost = 10;
/** No further side is begun after so long: a server that does not answer takes the time of those behind it only once. */
const budgetMs = 20_000;
const memoryMib = 256;
const deadlineSeconds = 3_600;

export type OldSideRemoval = WorkerStartPorts & {
  database: Database;
  holder: string;
  workers: Pick<WorkerJobs, 'look' | 'start' | 'remove'>;
  sides: Pick<RestoreSides, 'dropOldSide'>;
  cluster: Pick<TenantCluster, 'countPods'>;
  onTrouble: (what: string, error: unknown) => void;
};

/**
 * Removes what restores took out when its time is over, and never before: the database, then by a Job the folder on the
 * instance's volume. From the moment a side is taken for this, no undo can take it back. In one process at a time; what is
 * not over is gone on with by a later tick, one that cannot be removed after pauses that grow, and nobody waits behind it.
 * Returns a function for every tick.
 */
export function makeOldSideRemoval(removal: OldSideRemoval): () => Promise<{ dropped: number }> {
  const { database, onTrouble } = removal;
  return async () => {
    const lease = { name: 'old-sides', holder: `${removal.holder} ${randomUUID()}` };
    if (!(await takeLease(database, { ...lease, leaseMs: everyMs }))) return { dropped: 0 };
    let dropped = 0;
    const until = performance.now() + budgetMs;
    for (const side of await takeOldSides(database, atMost)) {
      if (performance.now() > until) break;
      try {
        if (await remove(side, removal)) dropped += 1;
      } catch (error) {
        onTrouble(`what restore ${side.id} took out`, error);
        await holdOffOldSide(database, side);
      }
    }
    await releaseLease(database, lease);
    return { dropped };
  };
}

/** True when nothing of it is left. */
async function remove(side: OldSide, removal: OldSideRemoval): Promise<boolean> {
  const { database, sides, workers } = removal;
  const { id, instanceId, serverId } = side;
  const found = await findDatabaseServer(database, serverId);
  if (found === undefined) throw new Failure('not-found', `There is no database server ${serverId} any more.`);
  await sides.dropOldSide(found.server, oldSideName({ instanceId, operationId: id }));
  if (!(await isOfPurged(database, side))) {
    const name = workerJobName('tidy', { instanceId, operationId: id, round: 1 });
    const job = await workers.look(name);
    if (job.state === 'absent') await startTidy(side, name, removal);
    if (job.state === 'absent' || job.state === 'running') return false;
    await workers.remove(name);
    if (job.state === 'failed') throw new Failure('job-failed', `Job ${name} failed: ${job.reason}`);
  }
  await markOldSideDropped(database, id);
  return true;
}

async function startTidy({ id, instanceId }: OldSide, name: string, removal: OldSideRemoval): Promise<void> {
  const { instance } = await readInstance(removal.database, instanceId);
  const order: TidyOrder = {
    version: 1,
    task: 'tidy',
    instanceId,
    operationId: id,
    attempt: 1,
    store: await removal.storeAccess(),
    prefix: `tidies/${instanceId}/${id}/1`,
    resultKey: randomBytes(32).toString('base64'),
    folders: [`${odooDataFolder}/filestore/${oldSideName({ instanceId, operationId: id })}`],
  };
  const isInUse = (await removal.cluster.countPods(instance)) > 0;
  await removal.workers.start({
    name,
    owner: instanceId,
    operationId: id,
    task: 'tidy',
    image: removal.workerImage(),
    order: JSON.stringify(order),
    volume: { claimName: namesOf(instanceId).object, isInUse, isWritable: true },
    memoryMib,
    deadlineSeconds,
  });
}
