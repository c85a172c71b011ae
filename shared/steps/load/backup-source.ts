import { createHash } from 'node:crypto';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import { type BackupManifest, openManifest } from '#shared/domain/backup/manifest.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { LoadSource } from '#shared/domain/backup/order.ts';
import type { BackupRecords } from '#shared/domain/backup/ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';

/** A backup by the instance it must be of. */
export type WantedBackup = { instanceId: string; backupId: string };

export type BackupSourcePorts = {
  records: Pick<BackupRecords, 'read'>;
  store: Pick<ObjectStore, 'get'>;
  signer: Pick<Signer, 'isSigned'>;
};

/**
 * The manifest as the records know it, signed with a key of the ring.
 * @throws Failure `not-found` when that instance has no such backup, `damaged` when the manifest is not the one written.
 */
export async function readBackupManifest(
  { instanceId, backupId }: WantedBackup,
  ports: BackupSourcePorts,
): Promise<{ manifest: { key: string; sha256: string }; content: BackupManifest }> {
  const backup = await ports.records.read(backupId);
  const { manifest } = backup ?? {};
  if (backup?.instanceId !== instanceId || backup.state !== 'succeeded' || !manifest) {
    throw new Failure('not-found', `Instance ${instanceId} has no backup ${backupId} that can be restored.`);
  }
  const bytes = await ports.store.get(manifest.key);
  if (bytes === undefined) throw new Failure('damaged', `The manifest ${manifest.key} is not in the store.`);
  if (createHash('sha256').update(bytes).digest('hex') !== manifest.sha256) {
    throw new Failure('damaged', `The manifest ${manifest.key} is not the one that was written.`);
  }
  const content = openManifest(bytes, ports.signer);
  if (content.instanceId === instanceId && content.backupId === backupId) return { manifest, content };
  throw new Failure('damaged', `The manifest ${manifest.key} is that of another backup.`);
}

/** The backup with its keys in the clear, for the Job that loads it. */
export async function backupLoadSource(
  wanted: WantedBackup,
  ports: BackupSourcePorts & { wrapper: Pick<KeyWrapper, 'unwrap'> },
): Promise<LoadSource> {
  const { manifest, content } = await readBackupManifest(wanted, ports);
  const { wrappedKeys, instanceId, backupId } = content;
  const dump = await ports.wrapper.unwrap(wrappedKeys.dump, { purpose: 'dump', instanceId, backupId });
  const files = await ports.wrapper.unwrap(wrappedKeys.files, { purpose: 'files', instanceId });
  const keys = { dump: dump.toString('base64'), files: files.toString('base64') };
  return { kind: 'backup', instanceId, backupId, manifest, keys };
}
