import { randomBytes } from 'node:crypto';
import type { LoadSource } from '#shared/domain/backup/order.ts';
import { refusePostgres } from '#shared/domain/backup/restorable.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type InstanceContext, serverOf } from '#shared/domain/instance/context.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { backupLoadSource, readBackupManifest } from '../load/backup-source.ts';
import { keyContextOf } from '../load/load-beside.ts';
import { type RestorePorts, sourceOf } from './restore-parts.ts';

type Ports = Pick<RestorePorts, 'restores' | 'records' | 'store' | 'signer' | 'wrapper' | 'restoreSides'>;

/**
 * Writes the intent and checks, before anything is touched, whether the source may be restored into this instance: a backup
 * by its row, its manifest and the versions of Odoo and PostgreSQL; an old side by its row.
 */
export function beginRestore(ports: Ports): Step<InstanceContext> {
  return {
    name: 'begin',
    async look({ operation }) {
      const restore = await ports.restores.read(operation.id);
      return restore === undefined || restore.state === 'failed' ? missing : done;
    },
    async act(context) {
      const source = sourceOf(context);
      if ('backup' in source) await checkVersions(context, source.backup, ports);
      await ports.restores.begin(context.operation, {
        instanceId: context.instance.id,
        source,
        jobKey: await ports.wrapper.wrap(randomBytes(32), keyContextOf(context)),
      });
      return done;
    },
  };
}

async function checkVersions(context: InstanceContext, backupId: string, ports: Ports): Promise<void> {
  const { content } = await readBackupManifest({ instanceId: context.instance.id, backupId }, ports);
  const refusal = refusePostgres(content.postgres.major, await ports.restoreSides.majorVersion(serverOf(context)));
  if (refusal !== undefined) throw refusal;
}

/** The backup of the request with its keys in the clear, for the Job. */
export async function sourceOfRequest(context: InstanceContext, ports: Ports): Promise<LoadSource> {
  const source = sourceOf(context);
  if (!('backup' in source)) throw new Failure('internal', 'An undo loads nothing.');
  return await backupLoadSource({ instanceId: context.instance.id, backupId: source.backup }, ports);
}
