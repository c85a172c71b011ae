import type { ServerResponse } from 'node:http';
import { type Failure, failureCodes } from '#shared/domain/failure.ts';

/** What a request is answered with. */
export type Answer = { status: number; outcome: string; headers?: Readonly<Record<string, string>>; body?: string };

/**
 * The event needs nothing more. Always without a body: the in-memory broker turns a success whose body is no
 * CloudEvent into 502, and Kafka's dead-letters it.
 */
export function done(outcome: string): Answer {
  return { status: 204, outcome };
}

/** What becomes of an event whose handling failed. */
export type FailedEvent =
  /** Nobody can ever handle it as it is: keep it with the reason, then 204. RabbitMQ's broker loses events that get a 4xx. */
  { keep: true } | { keep: false; answer: Answer };

/** The one place that maps failures to what a broker is told. */
export function forFailure(failure: Failure): FailedEvent {
  // a bug or a wrong setting is no fault of the event: the broker sends it again, and dead-letters it in the end
  if (failure.code === 'internal' || failure.code === 'misconfigured') {
    return { keep: false, answer: { status: 500, outcome: 'error' } };
  }
  switch (failureCodes[failure.code]) {
    case 'permanent':
      return { keep: true };
    case 'transient':
      return { keep: false, answer: unavailable };
    case 'fenced':
      // somebody newer holds the work; this delivery has nothing to add
      return { keep: false, answer: done('fenced') };
  }
}

/** Nothing was recorded; the same request may succeed later. */
export const unavailable: Answer = { status: 503, outcome: 'unavailable' };
/** Recorded as refused. */
export const refused: Answer = done('refused');
export const bug: Answer = { status: 500, outcome: 'error' };

/** Writes the answer, with the outcome, the request's id and the time it took. */
export function writeAnswer(
  response: ServerResponse,
  answer: Answer,
  request: { requestId: string; milliseconds: number },
): void {
  const body = answer.body ?? '';
  const headers: Record<string, string | number> = {
    ...answer.headers,
    'x-outcome': answer.outcome,
    'x-request-id': request.requestId,
    'x-response-time': `${request.milliseconds.toFixed(1)}ms`,
  };
  if (answer.status !== 204) headers['content-length'] = Buffer.byteLength(body);
  response.writeHead(answer.status, headers);
  response.end(answer.status === 204 ? undefined : body);
}
