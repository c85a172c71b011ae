import type { AnyEventDefinition } from '#events/envelope.ts';
import { readDeadEnvelope } from '#shared/adapters/eventing/dead-envelope.ts';
import { parseEvent, type TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { maxEventBytes, receive } from '#shared/adapters/eventing/receive.ts';
import type { DeadEvent } from '#shared/adapters/postgres/dead-events.ts';
import { continueEvent, noteInContext } from '#shared/adapters/tracing/request-context.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Answer, bug, done, forFailure, refused, unavailable } from './answer.ts';
import type { Authorise, Authority } from './authorise.ts';
import { type HttpFunctionOptions, type HttpHandler, httpFunction, type RawRequest } from './http-function.ts';

export type EventFunctionOptions<Definitions extends readonly AnyEventDefinition[]> = HttpFunctionOptions & {
  /** The function's name: what its dead events say they were received by. */
  name: string;
  /** The events it understands. */
  definitions: Definitions;
  /** Decides before `handle` whether the event's source may say this, and for whom. What it throws is answered like `handle`'s. */
  authorise: Authorise;
  /**
   * Does what the event asks and says what came of it in a word (`accepted`, `duplicate`, `waiting`): the x-outcome
   * header. When it returns, nothing more happens. @throws Failure: `permanent` ones bury the event, see `storeDead`.
   *
   * Where `authority` names a customer, whoever acts on an instance has to refuse those of others, in the transaction
   * that reads the instance.
   */
  handle(event: TypedEvent<Definitions[number]>, authority: Authority): Promise<string>;
  /** Keeps an event that nobody can handle, with the reason. Repeatable. When it throws, the broker sends the event again. */
  storeDead(event: DeadEvent): Promise<unknown>;
};

// Of a body that is too large only this much is kept: enough to see what it was.
const keptBytes = 64 * 1024;

/**
 * A function for CloudEvents: receive, parse, handle, answer. Every answer has an empty body.
 * 204 done, or kept as refused · 503 nothing was recorded · 500 bug.
 */
export function eventFunction<const Definitions extends readonly AnyEventDefinition[]>(
  options: EventFunctionOptions<Definitions>,
): HttpHandler {
  const { log } = options;

  async function handleRequest(request: RawRequest): Promise<Answer & { type?: string }> {
    if (request.method !== 'POST') return { status: 405, outcome: 'not-post', headers: { allow: 'POST' } };
    let type = 'unknown';
    try {
      const event = read(request, options.definitions);
      type = event.type;
      continueEvent(event.extensions);
      noteInContext({ eventId: event.id, ...operationOf(event) });
      const authority = await options.authorise(event);
      const outcome = await options.handle(event, authority);
      log.debug({ type, outcome }, 'event done');
      return { ...done(outcome), type };
    } catch (caught) {
      return { ...(await answerFailure(request, asFailure(caught))), type };
    }
  }

  async function answerFailure(request: RawRequest, failure: Failure): Promise<Answer> {
    const fate = forFailure(failure);
    if (fate.keep) return await bury(request, failure);
    const { answer } = fate;
    if (answer === bug || answer.status === 500) log.error({ err: failure }, 'an event could not be handled');
    else log.warn({ code: failure.code, reason: failure.message }, 'an event was not recorded');
    return answer;
  }

  async function bury(request: RawRequest, failure: Failure): Promise<Answer> {
    const envelope = readDeadEnvelope(request.headers, request.body);
    log.warn(
      { code: failure.code, reason: failure.message, id: envelope.id, type: envelope.type },
      'an event was refused',
    );
    try {
      await options.storeDead({
        ...envelope,
        receivedBy: options.name,
        reasonCode: failure.code,
        reason: failure.message,
        body: isTooLarge(request) ? request.body.subarray(0, keptBytes) : request.body,
        isWhole: !isTooLarge(request),
      });
      return refused;
    } catch (caught) {
      log.error({ err: asFailure(caught) }, 'a refused event could not be kept');
      return unavailable;
    }
  }

  return httpFunction(handleRequest, options);
}

function read<const Definitions extends readonly AnyEventDefinition[]>(
  request: RawRequest,
  definitions: Definitions,
): TypedEvent<Definitions[number]> {
  if (isTooLarge(request)) {
    throw new Failure('invalid-event', `The event is larger than ${maxEventBytes} bytes.`);
  }
  const received = receive(request.headers, request.body, { rawHeaders: request.rawHeaders });
  return parseEvent(received, definitions);
}

/** functions-framework has no limit of its own below 1 GiB, so the size is looked at here too. */
function isTooLarge(request: RawRequest): boolean {
  return request.isTooLarge || request.body.length > maxEventBytes;
}

function operationOf(event: { extensions: Record<string, string> }): { operationId?: string } {
  const operationId = event.extensions['operationid'];
  return operationId === undefined ? {} : { operationId };
}
