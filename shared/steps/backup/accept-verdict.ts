import type { Backup, Verification } from '#shared/domain/backup/backup.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import { openVerifyResult, resultNames, type VerifyResult } from '#shared/domain/backup/manifest.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { refute, runOf, type VerifyPorts } from './restore-to-verify.ts';

/** Differences in the text of a failure; the records have more. */
const shown = 3;

/**
 * Writes down what the Job has found: the backup is proven, or refuted by what differs.
 * @throws Failure `damaged` for one that is refuted, `job-failed` for one that is proven and on which Odoo did not run.
 */
export function acceptVerdict(ports: VerifyPorts): Step<InstanceContext> {
  return {
    name: 'verdict',
    touchesServer: false,
    async look({ operation }) {
      const verification = await ports.verifications.read(operation.id);
      if (verification?.state === 'refuted') throw refuted(verification.backupId, verification.differences);
      return verification?.state === 'proven' ? done : missing;
    },
    async act(context) {
      const verification = await ports.verifications.read(context.operation.id);
      const backup = verification && (await ports.records.read(verification.backupId));
      if (verification === undefined || backup === undefined) {
        throw new Failure('internal', 'There is no record of what was verified.');
      }
      const { differences, more } = await readVerdict(context, { verification, backup }, ports);
      const all = more === 0 ? differences : [...differences, `${more} more`];
      if (all.length === 0) {
        const odooBooted = verification.boot === 'booted';
        const end = { round: verification.round, odooBooted, differences: [] };
        await ports.verifications.finish(context.operation, end);
        if (verification.boot === 'failed') throw bootFailure(backup.id, verification.bootText);
        return done;
      }
      await refute(context, verification, { ports, differences: all });
      throw refuted(backup.id, all);
    },
  };
}

function bootFailure(backupId: string, why: string | null): Failure {
  const text = `Backup ${backupId} is what its manifest says, and Odoo did not run on it: ${why ?? 'see its Job'}`;
  return new Failure('job-failed', text);
}

function refuted(backupId: string, differences: readonly string[]): Failure {
  const rest = differences.length > shown ? ` (${differences.length - shown} more)` : '';
  const text = `Backup ${backupId} is not what its manifest says: ${differences.slice(0, shown).join(' ')}${rest}`;
  return new Failure('damaged', text);
}

/** What the Job that restored the backup has found. @throws Failure `job-failed` when that is gone, or not this one's. */
export async function readVerdict(
  context: InstanceContext,
  { verification, backup }: { verification: Verification; backup: Backup },
  ports: VerifyPorts,
): Promise<VerifyResult> {
  const { operation, instance } = context;
  const { prefix, round } = runOf(context, verification);
  const bytes = await ports.store.get(`${prefix}/${resultNames.result}`);
  if (bytes === undefined) throw new Failure('job-failed', `The result of the verification's Job, ${prefix}, is gone.`);
  const dumpContext = { purpose: 'dump', instanceId: instance.id, backupId: backup.id } as const;
  const dumpKey = await ports.wrapper.unwrap(backup.dumpKey ?? '', dumpContext);
  const { resultKey } = jobSecrets(dumpKey, { operationId: operation.id, round });
  const result = openVerifyResult(bytes, { operationId: operation.id, attempt: round, resultKey });
  const isOurs =
    result.instanceId === instance.id &&
    result.backupId === backup.id &&
    result.operationId === operation.id &&
    result.attempt === round &&
    result.manifestSha256 === backup.manifest?.sha256;
  if (!isOurs) throw new Failure('job-failed', `The result in ${prefix} is that of another verification.`);
  return result;
}
