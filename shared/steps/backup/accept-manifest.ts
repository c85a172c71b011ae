import { createHash } from 'node:crypto';
import type { Backup } from '#shared/domain/backup/backup.ts';
import { manifestKey } from '#shared/domain/backup/job-names.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import {
  type BackupManifest,
  type BackupResult,
  fileKeysOf,
  openBackupResult,
  openManifest,
  resultNames,
  ringKeysOf,
  signManifest,
} from '#shared/domain/backup/manifest.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { BackupRecords, BackupSuccess } from '#shared/domain/backup/ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { runOf } from './make-backup.ts';

type Ports = { records: BackupRecords; store: ObjectStore; wrapper: KeyWrapper; signer: Signer };

/**
 * Takes over what the Job has made: its result is the Job's own, everything it names is in the store, and a manifest that
 * is signed, written once and read back says so. Before that no record says that there is a backup.
 */
export function acceptManifest(ports: Ports): Step<InstanceContext> {
  return {
    name: 'manifest',
    touchesServer: false,
    async look({ operation }) {
      return (await ports.records.read(operation.id))?.state === 'succeeded' ? done : missing;
    },
    async act(context) {
      const backup = await ports.records.read(context.operation.id);
      if (backup?.dumpKey == null) throw new Failure('internal', 'There is no record of the backup that was made.');
      const result = await readResult(context, backup, ports);
      await checkObjects(result, ports.store);
      const wrappedKeys = { dump: backup.dumpKey, files: (await ports.records.filesKey(context.instance.id)) ?? '' };
      const bytes = signManifest(result, wrappedKeys, ports.signer);
      const written = await writeManifest(context, { bytes, round: backup.round }, ports);
      await ports.records.succeed(context.operation, successOf(backup, written));
      return done;
    },
  };
}

async function readResult(context: InstanceContext, backup: Backup, ports: Ports): Promise<BackupResult> {
  const { operation, instance } = context;
  const { prefix, round } = runOf(context, backup);
  const bytes = await ports.store.get(`${prefix}/${resultNames.manifest}`);
  if (bytes === undefined) throw new Failure('damaged', `The result of the backup's Job, ${prefix}, is gone.`);
  const dumpContext = { purpose: 'dump', instanceId: instance.id, backupId: operation.id } as const;
  const dumpKey = await ports.wrapper.unwrap(backup.dumpKey ?? '', dumpContext);
  const { resultKey } = jobSecrets(dumpKey, { operationId: operation.id, round });
  const result = openBackupResult(bytes, { operationId: operation.id, attempt: round, resultKey });
  const isOurs =
    result.instanceId === instance.id &&
    result.backupId === operation.id &&
    result.operationId === operation.id &&
    result.attempt === round &&
    result.dump.key === `${prefix}/${resultNames.dump}`;
  if (!isOurs) throw new Failure('damaged', `The result in ${prefix} is that of another backup.`);
  return result;
}

/**
 * The dump by its size; the files by their names, a thousand with each request. What is in them is for the verification.
 * @throws Failure `damaged` when something is missing.
 */
async function checkObjects(result: BackupResult, store: ObjectStore): Promise<void> {
  const dump = await store.head(result.dump.key);
  if (dump?.size !== result.dump.storedBytes) {
    throw new Failure('damaged', `The dump ${result.dump.key} is not in the store as the Job says it wrote it.`);
  }
  const wanted = new Set(fileKeysOf(result));
  let after: string | undefined;
  while (wanted.size > 0) {
    const page = await store.list({ prefix: `files/${result.instanceId}/`, after });
    for (const key of page.keys) wanted.delete(key);
    if (page.next === undefined) break;
    after = page.next;
  }
  if (wanted.size > 0) {
    const [first] = wanted;
    throw new Failure('damaged', `${wanted.size} files of the backup are not in the store, such as ${first}.`);
  }
}

type WrittenManifest = {
  manifest: BackupManifest;
  key: string;
  ringKeys: string[];
  sha256: string;
  lockedUntil: Date | null;
};

/** One that is there already was written by this operation, for only it has this name: what it says counts. */
async function writeManifest(
  context: InstanceContext,
  { bytes, round }: { bytes: Buffer; round: number },
  ports: Ports,
): Promise<WrittenManifest> {
  const { operation, instance } = context;
  const key = manifestKey({ instanceId: instance.id, operationId: operation.id });
  const outcome = await ports.store.put(key, bytes, { onlyIfNew: true });
  const found = await ports.store.get(key);
  if (found === undefined || (outcome === 'written' && !found.equals(bytes))) {
    throw new Failure(
      'damaged',
      `The manifest ${key} reads otherwise than it was written. The store is not to be trusted.`,
    );
  }
  const manifest = openManifest(found, ports.signer);
  if (manifest.instanceId !== instance.id || manifest.backupId !== operation.id || manifest.attempt !== round) {
    throw new Failure('damaged', `The manifest ${key} is that of another backup.`);
  }
  const head = await ports.store.head(key);
  const sha256 = createHash('sha256').update(found).digest('hex');
  const ringKeys = ringKeysOf(found, manifest);
  return { manifest, key, sha256, ringKeys, lockedUntil: head?.lockedUntil ?? null };
}

export function successOf(
  { round }: Pick<Backup, 'round'>,
  { manifest, key, sha256, ringKeys, lockedUntil }: WrittenManifest,
): BackupSuccess {
  const { dump, files, contents } = manifest;
  return {
    round,
    snapshotAt: new Date(manifest.snapshotAt),
    manifest: { key, sha256 },
    summary: {
      odooVersion: manifest.odooVersion,
      modules: manifest.modules.length,
      postgres: manifest.postgres.server,
      tables: contents.tables.length,
      rows: contents.tables.reduce((sum, { rows }) => sum + rows, 0),
      attachments: contents.attachments.count,
      databaseBytes: dump.databaseBytes,
      // What the ring must have as long as this backup is kept.
      ringKeys,
      // Attachments whose file the instance had lost: the backup has it as little.
      ...(files.lost && { lostFiles: files.lost.length }),
    },
    sizes: {
      dumpBytes: dump.storedBytes,
      filesBytes: files.storedBytes,
      filesCount: files.count,
      uploadedBytes: files.uploaded.bytes,
    },
    lockedUntil,
  };
}
