import type { Export } from '#shared/domain/backup/export.ts';
import { type ExportResult, exportNames, openExportResult } from '#shared/domain/backup/export-result.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { archiveKeyContext, type ExportPorts, runOf } from './make-export.ts';

/** Takes over what the Job has made: its result is its own, and the archive is in the store as it says. */
export function acceptExport(ports: ExportPorts): Step<InstanceContext> {
  return {
    name: 'accept',
    touchesServer: false,
    async look({ operation }) {
      return (await ports.exports.read(operation.id))?.state === 'ready' ? done : missing;
    },
    async act(context) {
      const found = await ports.exports.read(context.operation.id);
      if (found === undefined) throw new Failure('internal', 'There is no record of the export that was made.');
      const { archive, files } = await readResult(context, found, ports);
      const head = await ports.store.head(archive.key);
      if (head?.size !== archive.storedBytes) {
        throw new Failure('damaged', `The archive ${archive.key} is not in the store as the Job says it wrote it.`);
      }
      const { key, bytes, sha256 } = archive;
      await ports.exports.finish(context.operation, {
        round: found.round,
        archive: { key, bytes, sha256, files },
        validSeconds: ports.validSeconds,
      });
      return done;
    },
  };
}

async function readResult(context: InstanceContext, found: Export, ports: ExportPorts): Promise<ExportResult> {
  const { operation, instance } = context;
  const { prefix, round } = runOf(context, found);
  const bytes = await ports.store.get(`${prefix}/${exportNames.result}`);
  if (bytes === undefined) throw new Failure('job-failed', `The result of the export's Job, ${prefix}, is gone.`);
  const archiveKey = await ports.wrapper.unwrap(found.archiveKey ?? '', archiveKeyContext(context));
  const { resultKey } = jobSecrets(archiveKey, { operationId: operation.id, round });
  const result = openExportResult(bytes, { operationId: operation.id, attempt: round, resultKey });
  const isOurs =
    result.instanceId === instance.id &&
    result.backupId === found.backupId &&
    result.operationId === operation.id &&
    result.attempt === round &&
    result.archive.key === `${prefix}/${exportNames.archive}`;
  if (!isOurs) throw new Failure('job-failed', `The result in ${prefix} is that of another export.`);
  return result;
}
