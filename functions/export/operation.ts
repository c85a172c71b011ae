import { exportAccepted, exportFailed, exportSucceeded } from '#events/instance/export.ts';
import { endUnfinished } from '#shared/adapters/postgres/backup-ends.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { InstanceOperation } from '#shared/runtime/operation/instance-operation.ts';
import { acceptExport } from '#shared/steps/export/accept-export.ts';
import { type ExportPorts, makeExport } from '#shared/steps/export/make-export.ts';
import { releaseExport, releaseExportStep } from '#shared/steps/export/release-export.ts';

/** Makes a zip of a backup in Odoo's own format, which a link that expires leads to. */
export function exportOperation(ports: ExportPorts): InstanceOperation {
  return {
    definition: {
      ...definitionFacts.export,
      steps: [makeExport(ports), acceptExport(ports), releaseExportStep(ports)],
    },
    events: { accepted: exportAccepted, failed: exportFailed },
    async succeeded(_transaction, { operation }, { data, envelope }) {
      const made = await ports.exports.read(operation.id);
      if (made?.archive == null || made.expiresAt === null) {
        throw new Failure('internal', `Export ${operation.id} has succeeded without an archive.`);
      }
      const { backupId: backup, archive, expiresAt } = made;
      const said = { backup, bytes: archive.bytes, expiresat: expiresAt.toISOString() };
      return announce(exportSucceeded, { ...data, ...said }, envelope);
    },
    moves: {},
    leavesInstanceAlone: true,
    isStillWanted: () => true,
    release: (context) => releaseExport(context, ports),
    onOtherEnd: (transaction, { operation }, why) => endUnfinished(transaction, operation.id, why),
  };
}
