import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { findVisibleInstance, writeSettings } from '#shared/adapters/postgres/instance-visibility.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type Change, changeOf } from '#shared/domain/instance/change.ts';
import { unknownInstance } from '#shared/domain/instance/operation-admission.ts';
import { type AcceptedOperation, type Asker, type Asking, lockVisible, prepare } from './ask.ts';

/** What a change came to: the operation that brings it about, or nothing where all is as wanted. */
export type Changed = { generation: number; operation: AcceptedOperation | undefined };

/**
 * Changes what is wanted of an instance. The row and the operation that brings it about are written together.
 * Returns the refusal of that operation: then nothing is to be kept.
 */
export async function changeInstance(
  transaction: Queryable,
  asking: Asking,
  asked: {
    asker: Asker;
    instanceId: string;
    generation: number | undefined;
    change: Change;
    reason?: string | undefined;
  },
): Promise<Changed | Failure> {
  const { asker, instanceId, change } = asked;
  const hidden = await lockVisible(transaction, asker.principal, asked);
  if (hidden !== undefined) return hidden;
  const found = await findVisibleInstance(transaction, instanceId, asker.principal);
  if (found === undefined) return unknownInstance(instanceId);
  const decided = changeOf(found, change);
  if (decided instanceof Failure) return decided;
  if (decided.kind === undefined) return { generation: found.generation, operation: undefined };
  if (decided.settings !== undefined) await writeSettings(transaction, instanceId, decided.settings);
  const data = { reason: asked.reason ?? 'What is wanted was changed' };
  const operation = await (await prepare(asking, asker, { kind: decided.kind, instanceId, data }))(transaction);
  // What was written before is to go with it.
  if (operation instanceof Failure) throw operation;
  const now = await findVisibleInstance(transaction, instanceId, asker.principal);
  return { generation: now?.generation ?? found.generation, operation };
}
