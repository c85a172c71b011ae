import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { recordEvent } from '#shared/adapters/postgres/inbox.ts';
import { findOperation, requestCancel, retryOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { knownVersions } from '#shared/domain/operation/step.ts';
import { type RequestEvent, reusedId } from './accept.ts';

/** What a person may say about an operation. `advance` is not among them: it changes nothing by itself. */
export type OperationCommandWord = 'retry' | 'cancel';

/**
 * `ignored`: the operation is not in a state in which the command means anything, or is of a kind that is not cancelled;
 * the audit says so.
 */
export type CommandOutcome = 'done' | 'duplicate' | 'ignored' | 'unknown';

/** A command, with the definition of the function that carries it out. */
export type OperationCommand = {
  word: OperationCommandWord;
  operationId: string;
  instanceId: string;
  definition: {
    kind: string;
    version: number;
    others?: readonly { version: number }[];
    deadlineMs: number;
    cancel: 'undoes' | 'refused';
  };
  reason: string;
  /** The sender speaks for this customer only. Null: for everybody. */
  customerId: string | null;
};

/**
 * Writes a person's command into the operation's row; the next advance acts on it. An operation of another instance or
 * kind than the command says, or of another customer than the sender speaks for, is unknown: a mistyped id must not undo
 * somebody else's work.
 * @throws Failure `reused-event-id` when the event's id came before with other data.
 */
export async function commandOperation(
  database: Database,
  event: RequestEvent,
  command: OperationCommand,
): Promise<CommandOutcome> {
  const { word, operationId } = command;
  return await database.transaction(async (transaction) => {
    const operation = await findMeant(transaction, command);
    const recorded = await recordEvent(transaction, {
      source: event.source,
      id: event.id,
      type: event.type,
      dataHash: event.dataHash,
      operationId: operation === undefined ? null : operationId,
      outcome: operation === undefined ? 'unknown operation' : word,
    });
    if (recorded === 'other-data') throw reusedId(event);
    if (recorded !== 'new') return 'duplicate';
    if (operation === undefined) return 'unknown';
    return await carryOut(transaction, command, { operation, actor: event.source, event: event.id });
  });
}

type Meant = { instanceId: string; kind: string; state: string };

/** The same of one that came otherwise than as an event, as part of the caller's transaction: without an inbox row. */
export async function commandWithin(
  transaction: Queryable,
  by: { actor: string; event: string },
  command: OperationCommand,
): Promise<Exclude<CommandOutcome, 'duplicate'>> {
  const operation = await findMeant(transaction, command);
  return operation === undefined ? 'unknown' : await carryOut(transaction, command, { operation, ...by });
}

async function findMeant(transaction: Queryable, command: OperationCommand): Promise<Meant | undefined> {
  const found = await findOperation(transaction, command.operationId);
  const isTheirs = command.customerId === null || found?.customerId === command.customerId;
  const isMeant = found?.instanceId === command.instanceId && found.kind === command.definition.kind && isTheirs;
  return isMeant ? found : undefined;
}

async function carryOut(
  transaction: Queryable,
  { word, operationId, definition, reason }: OperationCommand,
  { operation, actor, event }: { operation: Meant; actor: string; event: string },
): Promise<'done' | 'ignored'> {
  const { deadlineMs, version: definitionVersion } = definition;
  const options = { deadlineMs, definitionVersion, knownVersions: knownVersions(definition) };
  const hasEffect =
    word === 'retry'
      ? await retryOperation(transaction, operationId, options)
      : definition.cancel === 'undoes' && (await requestCancel(transaction, operationId, options));
  await appendAudit(transaction, {
    actor,
    action: `${operation.kind}.${word}${hasEffect ? '' : '.ignored'}`,
    instanceId: operation.instanceId,
    operationId,
    detail: { event, reason, state: operation.state },
  });
  return hasEffect ? 'done' : 'ignored';
}
