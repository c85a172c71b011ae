import { randomBytes } from 'node:crypto';
import type { Backup, BackupKind } from '#shared/domain/backup/backup.ts';
import { backupPrefix, workerJobName } from '#shared/domain/backup/job-names.ts';
import type { BackupAccess } from '#shared/domain/backup/job-ports.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import type { BackupOrder } from '#shared/domain/backup/order.ts';
import type { BackupRecords, BegunBackup } from '#shared/domain/backup/ports.ts';
import { fencedOf, type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooDataFolder } from '#shared/domain/instance/odoo-conf.ts';
import type { TenantCluster } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import {
  lookAtRun,
  passwordValidSeconds,
  startRun,
  type WorkerRun,
  type WorkerRunPorts,
  type WorkerStartPorts,
  wasLost,
} from './worker-run.ts';

/** What a backup is made with. */
export type BackupPorts = WorkerRunPorts &
  WorkerStartPorts & {
    records: BackupRecords;
    access: BackupAccess;
    cluster: Pick<TenantCluster, 'countPods'>;
    wrapper: KeyWrapper;
  };

/** The kind a request names; parsed with the event. */
export function kindOf({ operation }: InstanceContext): BackupKind {
  return (operation.request as { kind?: BackupKind }).kind ?? 'manual';
}

export function runOf({ operation, instance }: InstanceContext, { round }: Pick<Backup, 'round'>): WorkerRun {
  const place = { instanceId: instance.id, operationId: operation.id, round };
  return { name: workerJobName('backup', place), prefix: backupPrefix(place), result: 'manifest', round };
}

/**
 * Has a Job make the backup: first the intent is written, which keeps whatever the Job finds in the store from being
 * removed, then the database is opened to the Job's own role, then the Job is started. A Job that was lost is followed by
 * another one, which writes elsewhere.
 */
export function makeBackup(ports: BackupPorts): Step<InstanceContext> {
  return {
    name: 'backup',
    async look(context) {
      const backup = await ports.records.read(context.operation.id);
      if (backup === undefined || backup.state === 'failed') return missing;
      return backup.state === 'running' ? await lookAtRun(context, runOf(context, backup), ports) : done;
    },
    async act(context) {
      const begun = await begin(context, ports);
      const run = runOf(context, begun.backup);
      const dumpKey = await ports.wrapper.unwrap(begun.dumpKey, dumpContext(context));
      const { password, resultKey } = jobSecrets(dumpKey, { operationId: context.operation.id, round: run.round });
      const fenced = fencedOf(context);
      const session = await ports.access.open(serverOf(context), fenced, {
        password,
        validSeconds: passwordValidSeconds,
      });
      const order = await orderOf(context, { begun, run, session: { ...session, password }, ports });
      const keys = {
        dump: dumpKey.toString('base64'),
        files: (await filesKeyOf(context, begun, ports)).toString('base64'),
      };
      const whole = { ...order, keys, resultKey } satisfies BackupOrder;
      const isInUse = (await ports.cluster.countPods(context.instance)) > 0;
      const volume = { claimName: namesOf(context.instance.id).object, isInUse };
      return await startRun(context, { run, order: whole, volume }, ports);
    },
  };
}

const dumpContext = ({ operation, instance }: InstanceContext) =>
  ({ purpose: 'dump', instanceId: instance.id, backupId: operation.id }) as const;

async function filesKeyOf({ instance }: InstanceContext, { filesKey }: BegunBackup, { wrapper }: BackupPorts) {
  return await wrapper.unwrap(filesKey, { purpose: 'files', instanceId: instance.id });
}

/** No-capacity is thrown while the server has no slot: the operation is tried again until it has. */
async function begin(context: InstanceContext, ports: BackupPorts): Promise<BegunBackup> {
  const { operation, instance } = context;
  const { records, wrapper } = ports;
  const freshDumpKey = () => wrapper.wrap(randomBytes(32), dumpContext(context));
  const begun = await records.begin(operation, {
    instanceId: instance.id,
    kind: kindOf(context),
    dumpKey: await freshDumpKey(),
    filesKey: await wrapper.wrap(randomBytes(32), { purpose: 'files', instanceId: instance.id }),
  });
  const { round } = begun.backup;
  if (!(await wasLost(context, runOf(context, begun.backup), ports))) return begun;
  return await records.another(operation, { round, dumpKey: await freshDumpKey() });
}

async function orderOf(
  context: InstanceContext,
  made: {
    begun: BegunBackup;
    run: WorkerRun;
    session: { user: string; password: string; database: string };
    ports: BackupPorts;
  },
): Promise<Omit<BackupOrder, 'keys' | 'resultKey'>> {
  const { operation, instance } = context;
  const { backup } = made.begun;
  const { host, port, sslMode } = serverOf(context);
  const newest = await made.ports.records.newest(instance.id);
  return {
    version: 1,
    task: 'backup',
    instanceId: instance.id,
    operationId: operation.id,
    backupId: backup.id,
    attempt: made.run.round,
    store: await made.ports.storeAccess(),
    prefix: made.run.prefix,
    database: { host, port, sslMode, ...made.session },
    // Odoo names it by its database, whatever that is called while it is set aside.
    filestore: `${odooDataFolder}/filestore/${namesOf(instance.id).database}`,
    facts: {
      kind: backup.kind,
      customerId: instance.customerId,
      imageId: instance.image.id,
      addonsDigest: instance.image.addonsDigest,
      previous: backup.previousId,
    },
    previousManifest: newest?.manifest ?? null,
  };
}
