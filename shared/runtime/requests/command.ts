import { randomUUID } from 'node:crypto';
import { operationAdvance } from '#events/operation/advance.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { findOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { requireMayAsk } from '#shared/domain/access/asking.ts';
import { actorOf } from '#shared/domain/access/principal.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { Failure } from '#shared/domain/failure.ts';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import { commandWithin, type OperationCommandWord } from '../operation/command.ts';
import type { Asker } from './ask.ts';

/** The operation a command was given to. */
export type CommandedOperation = { id: string; instanceId: string; kind: OperationKind };

/**
 * Writes a person's word into an operation's row, as its function does, and tells that function of it. Only who may ask for
 * an operation of that kind may have it tried again or undone. @throws Failure `forbidden`.
 */
export async function askCommand(
  transaction: Queryable,
  asker: Asker,
  {
    word,
    operationId,
    reason,
    eventSource,
  }: { word: OperationCommandWord; operationId: string; reason: string; eventSource: string },
): Promise<CommandedOperation | Failure> {
  const { customerId } = asker.principal;
  const unknown = new Failure('not-found', `There is no operation ${operationId}.`);
  const found = await findOperation(transaction, operationId);
  if (found === undefined || (customerId !== null && found.customerId !== customerId)) return unknown;
  const { instanceId } = found;
  const kind = found.kind as OperationKind;
  requireMayAsk(asker.principal, kind);
  const definition = definitionFacts[kind];
  const by = { actor: actorOf(asker.principal), event: asker.key ?? randomUUID() };
  const outcome = await commandWithin(transaction, by, {
    word,
    operationId,
    instanceId,
    definition,
    reason,
    customerId,
  });
  if (outcome === 'unknown') return unknown;
  if (outcome === 'ignored') return ignored(word, { operationId, kind, state: found.state, cancel: definition.cancel });
  const command = { operation: operationId, instance: instanceId, kind, reason: `A ${word} was asked for.` };
  await enqueue(transaction, [announce(operationAdvance, command, { id: randomUUID(), source: eventSource })]);
  return { id: operationId, instanceId, kind };
}

function ignored(
  word: OperationCommandWord,
  at: { operationId: string; kind: OperationKind; state: string; cancel: 'undoes' | 'refused' },
): Failure {
  const { operationId, kind, state, cancel } = at;
  if (word === 'cancel' && cancel === 'refused') {
    return new Failure('not-allowed', `An operation of kind ${kind} is not undone. Ask for the opposite.`);
  }
  const why = state === 'failed' ? 'a later operation has changed the instance since' : `it is ${state}`;
  return new Failure('not-allowed', `There is nothing to ${word} of operation ${operationId}: ${why}.`);
}
