import { isUtf8 } from 'node:buffer';
import { readDeadLetter } from '#shared/adapters/eventing/dead-letter.ts';
import { refuseRepeatedHeaders } from '#shared/adapters/eventing/headers.ts';
import { noteInContext } from '#shared/adapters/tracing/request-context.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Answer, done, unavailable } from '#shared/runtime/answer.ts';
import { classify } from '#shared/runtime/dead-letter/classify.ts';
import type { UndeliveredEvent } from '#shared/runtime/dead-letter/spool.ts';
import type { RawRequest } from '#shared/runtime/http-function.ts';
import type { Log } from '#shared/runtime/log.ts';

/**
 * The largest body that is kept whole: Knative's brokers are made for events of 1 MiB, and one that comes in structured
 * mode has its attributes and base64 on top. More would let whoever reaches the function fill the records faster.
 */
export const maxLetterBytes = 2 * 1024 * 1024;

export type DeadLetterParts = {
  log: Log;
  /** Commits it to the platform's records. Repeatable. */
  store(letter: UndeliveredEvent): Promise<unknown>;
  /** Keeps it where the tick finds it; undefined when no such place is configured. Repeatable. */
  spool: ((letter: UndeliveredEvent) => Promise<unknown>) | undefined;
  /** How long each of the two may take. Default 5,000 ms: a broker gives up waiting after 60 s at the earliest. */
  timeoutMs?: number;
};

/**
 * Keeps whatever a broker could not deliver, as it came: in the records, else in the spool, else in the log. 204 once it is
 * committed or synchronised to disk; 503 when only the log has it. RabbitMQ's broker acknowledges a dead letter whatever
 * is answered: what is not kept here is lost.
 */
export async function keepDeadLetter(
  request: RawRequest,
  parts: DeadLetterParts,
): Promise<Answer & { type: 'dead-letter' }> {
  const type = 'dead-letter';
  const { log, spool, timeoutMs = 5_000 } = parts;
  if (request.method !== 'POST') return { status: 405, outcome: 'not-post', headers: { allow: 'POST' }, type };
  const letter = letterOf(request);
  const { id, undelivered } = letter;
  if (id != null) noteInContext({ eventId: id.slice(0, 256) });
  const facts = {
    event: letter.type,
    origin: undelivered.origin,
    code: undelivered.errorCode,
    class: undelivered.class,
  };
  try {
    await within(timeoutMs, 'The platform database', () => parts.store(letter));
    log.info(facts, 'a dead letter was stored');
    return { ...done('stored'), type };
  } catch (error) {
    log.warn({ ...facts, err: asFailure(error) }, 'a dead letter could not be stored');
  }
  try {
    if (spool === undefined) throw new Failure('misconfigured', 'DEAD_LETTER_SPOOL_DIR is not set.');
    await within(timeoutMs, 'The object store', () => spool(letter));
    log.warn(facts, 'a dead letter waits in the object store');
    return { ...done('spooled'), type };
  } catch (error) {
    // the last resort: a person can send it again from here
    log.error({ err: asFailure(error), letter: shown(letter) }, 'a dead letter is kept nowhere but in this line');
    return { ...unavailable, type };
  }
}

/** The request as a row. Pure. */
export function letterOf(request: RawRequest): UndeliveredEvent {
  const { origin, errorCode, errorData, ...event } = readDeadLetter(request.headers, request.body);
  const isWhole = !request.isTooLarge && request.body.length <= maxLetterBytes;
  const flaw = isWhole
    ? repeatedHeader(request)
    : `It is larger than ${maxLetterBytes} bytes; only the beginning is kept.`;
  return {
    ...event,
    receivedBy: 'dead-letter',
    reasonCode: 'undelivered',
    reason: flaw ?? describe({ origin, errorCode }),
    body: isWhole ? request.body : request.body.subarray(0, maxLetterBytes),
    isWhole,
    undelivered: {
      origin,
      errorCode,
      errorData,
      // a flaw does not go away by itself
      class: flaw === undefined ? classify({ origin, errorCode }) : 'permanent',
    },
  };
}

function repeatedHeader({ rawHeaders }: RawRequest): string | undefined {
  try {
    refuseRepeatedHeaders(rawHeaders);
    return undefined;
  } catch (error) {
    return asFailure(error).message;
  }
}

function describe({ origin, errorCode }: { origin: string | null; errorCode: number | null }): string {
  if (origin === null && errorCode === null) return 'The broker did not say why it could not be delivered.';
  const place = origin ?? 'an unnamed place';
  return errorCode === null || errorCode === -1
    ? `It could not be delivered to ${place}: no answer.`
    : `It could not be delivered to ${place}: answered with status ${errorCode}.`;
}

/** As text where it is text, so that the log's scrubber sees what is in it. */
function shown({ attributes, contentType, body, isWhole }: UndeliveredEvent): Record<string, unknown> {
  const bytes = Buffer.from(body);
  const data = isUtf8(bytes) ? { body: bytes.toString('utf8') } : { bodyBase64: bytes.toString('base64') };
  return { contentType, attributes, isWhole, ...data };
}

async function within<Result>(timeoutMs: number, what: string, work: () => Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Failure('timeout', `${what} did not answer in ${timeoutMs} ms.`));
  }, timeoutMs);
  try {
    return await Promise.race([work(), promise]);
  } finally {
    clearTimeout(timer);
  }
}
