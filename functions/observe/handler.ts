import { operationAdvance } from '#events/operation/advance.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { activeOperation } from '#shared/adapters/postgres/operation-ends.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import type { Publish } from '#shared/runtime/outbox.ts';
import { type ClusterObject, instanceOf, letsOperationsGoOn } from './relevant.ts';

export type ObserveDependencies = { database: Queryable; publish: Publish; eventSource: string };

/**
 * Tells the operation at work on an object's instance to look again. Nothing is written: a change that is lost here is
 * found by the tick.
 * @throws Failure `unavailable` when the broker did not take the event, so that the change is delivered again.
 */
export async function observe(
  object: ClusterObject,
  { database, publish, eventSource }: ObserveDependencies,
): Promise<'advanced' | 'nothing-to-do'> {
  const instanceId = instanceOf(object);
  if (instanceId === undefined || !letsOperationsGoOn(object)) return 'nothing-to-do';
  const operation = await activeOperation(database, instanceId);
  if (operation === undefined) return 'nothing-to-do';
  const reason = oneLine(`${object.kind} ${object.metadata.name} changed`, 200);
  const data = { operation: operation.id, instance: instanceId, kind: operation.kind, reason };
  const event = announce(operationAdvance, data, { id: idOf(operation.id, object), source: eventSource });
  const { failed } = await publish([event]);
  if (failed[0] !== undefined) {
    throw new Failure('unavailable', `The broker did not take the advance: ${failed[0].reason}`);
  }
  return 'advanced';
}

/** The same state of the same object gives the same event, however often it is delivered. */
function idOf(operationId: string, object: ClusterObject): string {
  const { kind, metadata, status } = object;
  return eventIdOf(operationId, JSON.stringify([kind, metadata.name, metadata.generation, status]));
}
