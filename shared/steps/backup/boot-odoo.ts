import type { Backup, Verification } from '#shared/domain/backup/backup.ts';
import { type BootOrder, bootCounts, bootFailed, isBootWanted } from '#shared/domain/backup/boot-order.ts';
import { bootJobName, verificationDatabaseName } from '#shared/domain/backup/job-names.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { odooEnvironment, odooJobConf } from '#shared/domain/instance/odoo-conf.ts';
import { done, type Look, missing, type Step, waiting } from '#shared/domain/operation/step.ts';
import { readVerdict } from './accept-verdict.ts';
import { readManifest, type VerifyPorts } from './restore-to-verify.ts';
import { waitingForJob } from './worker-run.ts';

/** Loading modules takes this much whatever the plan, as at an initialisation. */
const leastMemoryMib = 1024;
/** The container that asks gives up after 600 s; the rest is for images to be fetched. */
const jobDeadlineSeconds = 20 * 60;
/** A Job that was interrupted is taken away, and another one of its name begun. */
const goneAfterMs = 1_000;

/**
 * On a sample, and on final backups: starts the instance's own Odoo on what was restored, made harmless first, and asks it
 * for its health and for how many records it finds. Where Odoo does not run as it should the backup stays what the comparison
 * has found it to be (a module, an image or a busy node may be why), and the verification fails after its verdict, so that
 * somebody looks.
 */
export function bootOdoo(ports: VerifyPorts): Step<InstanceContext> {
  return {
    name: 'boot-odoo',
    touchesServer: false,
    async look(context) {
      const verification = await ports.verifications.read(context.operation.id);
      if (verification?.state !== 'running') return done;
      if (verification.boot === null) return missing;
      if (verification.boot !== 'wanted') return done;
      const name = nameOf(context, verification);
      const { state } = await ports.boots.look(name);
      return state === 'running' ? waitingForJob(name) : missing;
    },
    async act(context) {
      const { verification, backup } = await readBoth(context, ports);
      const { round } = verification;
      if (verification.boot === null) {
        const { differences } = await readVerdict(context, { verification, backup }, ports);
        // the next step refutes it
        if (differences.length > 0) return done;
        const boot = (await isWanted(context, backup, ports)) ? 'wanted' : 'not-wanted';
        await ports.verifications.noteBoot(context.operation, { round, boot });
        if (boot === 'not-wanted') return done;
      }
      const name = nameOf(context, verification);
      const job = await ports.boots.look(name);
      if (job.state === 'running') return waitingForJob(name);
      if (job.state === 'succeeded') {
        await ports.verifications.noteBoot(context.operation, { round, boot: 'booted' });
        return done;
      }
      if (job.state === 'failed') return await judge(context, { verification, name, job }, ports);
      await ports.boots.start(await jobOf(context, { verification, backup, name }, ports));
      return waitingForJob(name);
    },
  };
}

function nameOf({ instance, operation }: InstanceContext, { round }: Pick<Verification, 'round'>): string {
  return bootJobName({ instanceId: instance.id, operationId: operation.id, round });
}

async function readBoth(context: InstanceContext, ports: VerifyPorts) {
  const verification = await ports.verifications.read(context.operation.id);
  const backup = verification && (await ports.records.read(verification.backupId));
  if (verification !== undefined && backup !== undefined) return { verification, backup };
  throw new Failure('internal', 'There is no record of what is verified.');
}

async function isWanted(context: InstanceContext, backup: Backup, ports: VerifyPorts): Promise<boolean> {
  const { operation, instance } = context;
  const { boot: asked } = operation.request as { boot?: boolean };
  const manifest = await readManifest(backup, ports);
  return isBootWanted({ backup, asked, percent: ports.bootPercent, manifest, image: instance.image });
}

type FailedJob = { reason: string; wasInterrupted?: boolean; exitCode?: number };

/** What a Job's failure says: about Odoo only when the container that asks says so. */
async function judge(
  context: InstanceContext,
  { verification: { round }, name, job }: { verification: Verification; name: string; job: FailedJob },
  ports: VerifyPorts,
): Promise<Look> {
  if (job.exitCode === bootFailed) {
    await ports.verifications.noteBoot(context.operation, { round, boot: 'failed', text: job.reason });
    return done;
  }
  if (job.wasInterrupted !== true) throw new Failure('job-failed', `Job ${name} failed: ${job.reason}`);
  await ports.boots.remove(name);
  return waiting(`Job ${name} to be gone`, { checkAfterMs: goneAfterMs });
}

async function jobOf(
  context: InstanceContext,
  { verification, backup, name }: { verification: Verification; backup: Backup; name: string },
  ports: VerifyPorts,
) {
  const { operation, instance } = context;
  const { round } = verification;
  const manifest = await readManifest(backup, ports);
  const server = await ports.servers.find(verification.serverId);
  if (server === undefined) throw new Failure('not-found', `Database server ${verification.serverId} is gone.`);
  const dumpContext = { purpose: 'dump', instanceId: instance.id, backupId: backup.id } as const;
  const dumpKey = await ports.wrapper.unwrap(manifest.wrappedKeys.dump, dumpContext);
  const { password, odooPassword } = jobSecrets(dumpKey, { operationId: operation.id, round });
  const database = verificationDatabaseName({ operationId: operation.id, round });
  const { host, port, sslMode } = server;
  const order: BootOrder = {
    ...{ version: 1, task: 'boot', instanceId: instance.id, operationId: operation.id, backupId: backup.id },
    database: { host, port, sslMode, user: database, password, database },
    password: odooPassword,
    counts: bootCounts(manifest),
  };
  return {
    name,
    owner: instance.id,
    operationId: operation.id,
    image: instance.image.reference,
    workerImage: ports.workerImage(),
    order: JSON.stringify(order),
    odooConf: odooJobConf({ database, role: database, databaseServer: server, databasePassword: password }),
    environment: odooEnvironment(server),
    memoryMib: Math.max(leastMemoryMib, instance.plan.memoryMib),
    deadlineSeconds: jobDeadlineSeconds,
  };
}
