import type { BackupAccess, WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import type { BackupRecords } from '#shared/domain/backup/ports.ts';
import { asFailure, failureCodes } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { runOf } from './make-backup.ts';

type Ports = { records: Pick<BackupRecords, 'read'>; access: BackupAccess; workers: WorkerJobs };

/** Takes back what was given for the backup: its Jobs with their Secrets, and the way into the database. */
export function releaseBackupStep(ports: Ports): Step<InstanceContext> {
  return {
    name: 'release',
    async look(context) {
      for (const name of await jobsOf(context, ports)) {
        if ((await ports.workers.look(name)).state !== 'absent') return missing;
      }
      const server = context.instance.databaseServer;
      return server === null || (await ports.access.isClosed(server, context.instance.id)) ? done : missing;
    },
    async act(context) {
      await removeJobs(context, ports);
      const server = context.instance.databaseServer;
      if (server !== null) await ports.access.close(server, fencedOf(context));
      return done;
    },
  };
}

/**
 * The same for a backup that ends otherwise than well. A database server that is away keeps nobody waiting who may have
 * to suspend the instance: the way in has ended with the Job's Secret, and the role's time runs out by itself.
 */
export async function releaseBackup(context: InstanceContext, ports: Ports): Promise<void> {
  const jobs = await jobsOf(context, ports);
  if (jobs.length === 0) return;
  await removeJobs(context, ports);
  const server = context.instance.databaseServer;
  if (server === null) return;
  try {
    await ports.access.close(server, fencedOf(context));
  } catch (error) {
    const { code } = asFailure(error);
    if (code === 'internal' || failureCodes[code] !== 'transient') throw error;
  }
}

async function removeJobs(context: InstanceContext, ports: Ports): Promise<void> {
  for (const name of await jobsOf(context, ports)) await ports.workers.remove(name);
}

/** Those of all rounds; none when the backup was never begun. */
async function jobsOf(context: InstanceContext, { records }: Ports): Promise<string[]> {
  const backup = await records.read(context.operation.id);
  const rounds = Array.from({ length: backup?.round ?? 0 }, (_, index) => index + 1);
  return rounds.map((round) => runOf(context, { round }).name);
}
