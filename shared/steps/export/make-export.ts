import { createHash, randomBytes } from 'node:crypto';
import type { Backup } from '#shared/domain/backup/backup.ts';
import type { BegunExport, Export, ExportRecords } from '#shared/domain/backup/export.ts';
import { exportPrefix, workerJobName } from '#shared/domain/backup/job-names.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import { openManifest } from '#shared/domain/backup/manifest.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { BackupKeys, ExportOrder } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import {
  lookAtRun,
  startRun,
  type WorkerRun,
  type WorkerRunPorts,
  type WorkerStartPorts,
  wasLost,
} from '../backup/worker-run.ts';

/** What an export is made with. */
export type ExportPorts = WorkerRunPorts &
  WorkerStartPorts & {
    exports: ExportRecords;
    wrapper: KeyWrapper;
    signer: Pick<Signer, 'isSigned'>;
    /** How long it can be downloaded. */
    validSeconds: number;
  };

export function runOf({ operation, instance }: InstanceContext, { round }: Pick<Export, 'round'>): WorkerRun {
  const place = { instanceId: instance.id, operationId: operation.id, round };
  const prefix = exportPrefix(place);
  return { name: workerJobName('export', place), prefix, result: 'result', round, outlivesOutages: true };
}

/** What the key of an archive is wrapped for: the operation stands where a backup's id does. */
export const archiveKeyContext = ({ operation, instance }: InstanceContext) =>
  ({ purpose: 'export', instanceId: instance.id, backupId: operation.id }) as const;

/**
 * Has a Job make the archive of the backup. It reads the object store alone: neither the instance's database nor its
 * volume, which may be stopped, suspended or terminated.
 */
export function makeExport(ports: ExportPorts): Step<InstanceContext> {
  return {
    name: 'export',
    touchesServer: false,
    async look(context) {
      const found = await ports.exports.read(context.operation.id);
      if (found?.state === 'ready') return done;
      if (found?.state !== 'running') return missing;
      return await lookAtRun(context, runOf(context, found), ports);
    },
    async act(context) {
      const begun = await begin(context, ports);
      const run = runOf(context, begun.export);
      const order = await orderOf(context, { begun, run, ports });
      return await startRun(context, { run, order, volume: null }, ports);
    },
  };
}

async function begin(context: InstanceContext, ports: ExportPorts): Promise<BegunExport> {
  const { operation, instance } = context;
  const archiveKey = () => ports.wrapper.wrap(randomBytes(32), archiveKeyContext(context));
  const wanted = { instanceId: instance.id, backupId: backupIdOf(context), archiveKey: await archiveKey() };
  const begun = await ports.exports.begin(operation, wanted);
  if (begun.export.state !== 'running') return begun;
  if (!(await wasLost(context, runOf(context, begun.export), ports))) return begun;
  return await ports.exports.another(operation, { round: begun.export.round, archiveKey: await archiveKey() });
}

/** The id a request names; parsed with the event. */
function backupIdOf({ operation }: InstanceContext): string | null {
  return (operation.request as { backup?: string }).backup ?? null;
}

async function orderOf(
  context: InstanceContext,
  { begun, run, ports }: { begun: BegunExport; run: WorkerRun; ports: ExportPorts },
): Promise<ExportOrder> {
  const { operation, instance } = context;
  const { backup } = begun;
  const archiveKey = await ports.wrapper.unwrap(begun.export.archiveKey ?? '', archiveKeyContext(context));
  const { resultKey } = jobSecrets(archiveKey, { operationId: operation.id, round: run.round });
  return {
    version: 1,
    task: 'export',
    instanceId: instance.id,
    operationId: operation.id,
    attempt: run.round,
    store: await ports.storeAccess(),
    prefix: run.prefix,
    resultKey,
    backupId: backup.id,
    manifest: manifestOf(backup),
    keys: await keysOf(backup, ports),
    archiveKey: archiveKey.toString('base64'),
    databaseName: instance.name,
  };
}

function manifestOf({ id, manifest }: Backup): { key: string; sha256: string } {
  if (manifest === null) throw new Failure('internal', `Backup ${id} has succeeded without a manifest.`);
  return manifest;
}

/** From the manifest itself, as the records know it. */
async function keysOf(backup: Backup, ports: ExportPorts): Promise<BackupKeys> {
  const { key, sha256 } = manifestOf(backup);
  const bytes = await ports.store.get(key);
  if (bytes === undefined) throw new Failure('damaged', `The manifest ${key} is not in the store.`);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new Failure('damaged', `The manifest ${key} is not the one that was written.`);
  }
  const { wrappedKeys } = openManifest(bytes, ports.signer);
  const { instanceId, id: backupId } = backup;
  const dump = await ports.wrapper.unwrap(wrappedKeys.dump, { purpose: 'dump', instanceId, backupId });
  const files = await ports.wrapper.unwrap(wrappedKeys.files, { purpose: 'files', instanceId });
  return { dump: dump.toString('base64'), files: files.toString('base64') };
}
