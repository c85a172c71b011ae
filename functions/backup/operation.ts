import { backupAccepted, backupFailed, backupSucceeded } from '#events/instance/backup.ts';
import { endUnfinished } from '#shared/adapters/postgres/backup-ends.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { acceptManifest } from '#shared/steps/backup/accept-manifest.ts';
import { type BackupPorts, makeBackup } from '#shared/steps/backup/make-backup.ts';
import { releaseBackup, releaseBackupStep } from '#shared/steps/backup/release-backup.ts';

/** Copies an instance's database and files to the object store while it runs, or whatever else it does. */
export function backupOperation(ports: BackupPorts & { wrapper: KeyWrapper; signer: Signer }): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.backup,
      steps: [makeBackup(ports), acceptManifest(ports), releaseBackupStep(ports)],
    },
    events: { accepted: backupAccepted, failed: backupFailed },
    async succeeded(_transaction, { operation }, { data, envelope }) {
      const backup = await ports.records.read(operation.id);
      if (backup?.sizes == null || backup.snapshotAt === null) {
        throw new Failure('internal', `Backup ${operation.id} has succeeded without sizes.`);
      }
      const { dumpBytes, filesBytes, filesCount, uploadedBytes } = backup.sizes;
      const made = {
        backup: backup.id,
        purpose: backup.kind,
        dumpbytes: dumpBytes,
        filesbytes: filesBytes,
        files: filesCount,
        uploadedbytes: uploadedBytes,
        snapshotat: backup.snapshotAt.toISOString(),
      };
      return announce(backupSucceeded, { ...data, ...made }, envelope);
    },
    moves: {},
    leavesInstanceAlone: true,
    isStillWanted: () => true,
    release: (context) => releaseBackup(context, ports),
    onOtherEnd: (transaction, { operation }, why) => endUnfinished(transaction, operation.id, why),
  };
}
