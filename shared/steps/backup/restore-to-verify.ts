import { createHash } from 'node:crypto';
import type { Backup, Verification } from '#shared/domain/backup/backup.ts';
import { verificationDatabaseName, verificationPrefix, workerJobName } from '#shared/domain/backup/job-names.ts';
import type { BootJob, VerificationDatabases } from '#shared/domain/backup/job-ports.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import { type BackupManifest, openManifest } from '#shared/domain/backup/manifest.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { VerifyOrder } from '#shared/domain/backup/order.ts';
import type { BackupRecords, BegunVerification, VerificationRecords } from '#shared/domain/backup/ports.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { fencedOf, type InstanceContext } from '#shared/domain/instance/context.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { JobRunner } from '#shared/domain/instance/ports.ts';
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

/** What a verification is made with. */
export type VerifyPorts = WorkerRunPorts &
  WorkerStartPorts & {
    records: Pick<BackupRecords, 'progress' | 'read'>;
    verifications: VerificationRecords;
    databases: VerificationDatabases;
    servers: { find(id: string): Promise<DatabaseServer | undefined> };
    wrapper: KeyWrapper;
    signer: Pick<Signer, 'isSigned'>;
    boots: JobRunner<BootJob>;
    /** Of the backups that are verified, Odoo is started on so many. */
    bootPercent: number;
  };

export function runOf(
  { operation, instance }: InstanceContext,
  { backupId, round }: Pick<Verification, 'backupId' | 'round'>,
): WorkerRun {
  const place = { instanceId: instance.id, operationId: operation.id, round };
  const prefix = verificationPrefix(place, backupId);
  return { name: workerJobName('verify', place), prefix, result: 'result', round };
}

/**
 * Has a Job restore the backup into a database of its own, on a server where there are no tenants, and compare it with
 * its manifest. A manifest that is gone or altered refutes the backup without a Job.
 */
export function restoreToVerify(ports: VerifyPorts): Step<InstanceContext> {
  return {
    name: 'restore',
    touchesServer: false,
    async look(context) {
      const verification = await ports.verifications.read(context.operation.id);
      // one on which Odoo did not run is looked at again by whoever asks again
      if (verification?.state === 'proven' && verification.boot !== 'failed') return done;
      if (verification?.state !== 'running') return missing;
      return await lookAtRun(context, runOf(context, verification), ports);
    },
    async act(context) {
      const begun = await begin(context, ports);
      const { verification, server } = begun;
      const run = runOf(context, verification);
      const keys = await keysOf(begun, ports).catch(async (error: unknown) => {
        const failure = asFailure(error);
        if (failure.code === 'damaged') await refute(context, verification, { ports, differences: [failure.message] });
        throw failure;
      });
      const { operation, instance } = context;
      const { password, resultKey } = jobSecrets(keys.dump, { operationId: operation.id, round: run.round });
      const name = verificationDatabaseName({ operationId: operation.id, round: run.round });
      const database = { name, operationId: operation.id, password, validSeconds: passwordValidSeconds };
      await ports.databases.create(server, fencedOf(context), database);
      const { host, port, sslMode } = server;
      const order: VerifyOrder = {
        version: 1,
        task: 'verify',
        instanceId: instance.id,
        operationId: operation.id,
        backupId: verification.backupId,
        attempt: run.round,
        store: await ports.storeAccess(),
        prefix: run.prefix,
        resultKey,
        manifest: manifestOf(begun.backup),
        database: { host, port, sslMode, user: name, password, database: name },
        keys: { dump: keys.dump.toString('base64'), files: keys.files.toString('base64') },
      };
      return await startRun(context, { run, order, volume: null }, ports);
    },
  };
}

/** The id a request names; parsed with the event. */
function backupIdOf({ operation }: InstanceContext): string | null {
  return (operation.request as { backup?: string }).backup ?? null;
}

async function begin(context: InstanceContext, ports: VerifyPorts): Promise<BegunVerification> {
  const { operation, instance } = context;
  const wanted = { instanceId: instance.id, backupId: backupIdOf(context) };
  const begun = await ports.verifications.begin(operation, wanted);
  const { verification } = begun;
  if (!(await wasLost(context, runOf(context, verification), ports))) return begun;
  return await ports.verifications.another(operation, { round: verification.round });
}

function manifestOf({ id, manifest }: Backup): { key: string; sha256: string } {
  if (manifest === null) throw new Failure('internal', `Backup ${id} has succeeded without a manifest.`);
  return manifest;
}

/** From the manifest itself, as the records know it: whoever rewrites one in the store has not the key it is signed with. */
async function keysOf({ backup }: BegunVerification, ports: VerifyPorts): Promise<{ dump: Buffer; files: Buffer }> {
  const { wrappedKeys } = await readManifest(backup, ports);
  const { instanceId, id: backupId } = backup;
  return {
    dump: await ports.wrapper.unwrap(wrappedKeys.dump, { purpose: 'dump', instanceId, backupId }),
    files: await ports.wrapper.unwrap(wrappedKeys.files, { purpose: 'files', instanceId }),
  };
}

/** @throws Failure `damaged` when it is gone, altered, or signed by nobody we know. */
export async function readManifest(
  backup: Backup,
  ports: Pick<VerifyPorts, 'store' | 'signer'>,
): Promise<BackupManifest> {
  const { key, sha256 } = manifestOf(backup);
  const bytes = await ports.store.get(key);
  if (bytes === undefined) throw new Failure('damaged', `The manifest ${key} is not in the store.`);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new Failure('damaged', `The manifest ${key} is not the one that was written.`);
  }
  return openManifest(bytes, ports.signer);
}

/** Writes the verdict down. */
export async function refute(
  { operation }: InstanceContext,
  { round }: Pick<Verification, 'round'>,
  { ports, differences }: { ports: Pick<VerifyPorts, 'verifications'>; differences: readonly string[] },
): Promise<void> {
  await ports.verifications.finish(operation, { round, odooBooted: false, differences });
}
