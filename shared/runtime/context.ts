import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** What belongs to the request that is being handled; every line of its log carries it. */
export type RequestContext = {
  readonly requestId: string;
  /** W3C trace id: the sender's, or a new one. */
  readonly traceId: string;
  /** Ours: what we call and send is its child. */
  readonly spanId: string;
  /** W3C flags, as two hexadecimal digits. */
  readonly traceFlags: string;
  eventId?: string;
  operationId?: string;
};

const storage = new AsyncLocalStorage<RequestContext>();

/** Runs `work` with the context; everything it awaits sees it too. */
export function runInContext<Result>(context: RequestContext, work: () => Result): Result {
  return storage.run(context, work);
}

/** The context of the running request; undefined outside of one. */
export function currentContext(): RequestContext | undefined {
  return storage.getStore();
}

/** `traceparent` for what this request sends; undefined outside of a request. */
export function currentTraceparent(): string | undefined {
  const context = storage.getStore();
  return context && `00-${context.traceId}-${context.spanId}-${context.traceFlags}`;
}

/** Notes what the request turned out to be about. */
export function noteInContext(facts: { eventId?: string; operationId?: string }): void {
  const context = storage.getStore();
  if (context !== undefined) Object.assign(context, facts);
}

// Other ids would have to be escaped wherever they are shown.
const requestIdPattern = /^[A-Za-z0-9._:-]{1,128}$/;
const traceparentPattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/;

/**
 * The context of a new request: id from `x-request-id`, trace from `traceparent` (or the event's extension of that
 * name, which survives brokers); what is missing or malformed is made anew.
 */
export function contextOf(headers: IncomingHttpHeaders): RequestContext {
  const given = headers['x-request-id'];
  const isUsable = typeof given === 'string' && requestIdPattern.test(given);
  const trace = traceOf(headers['traceparent']) ?? traceOf(headers['ce-traceparent']);
  // two uses of one UUID: the span id is its random tail, so that a request costs one random draw
  const id = randomUUID();
  return {
    requestId: isUsable ? given : id,
    traceId: trace?.traceId ?? id.replaceAll('-', ''),
    spanId: id.slice(19, 23) + id.slice(24),
    traceFlags: trace?.flags ?? '01',
  };
}

function traceOf(traceparent: string | string[] | undefined): { traceId: string; flags: string } | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const [, traceId, flags] = traceparentPattern.exec(traceparent) ?? [];
  return traceId === undefined || flags === undefined ? undefined : { traceId, flags };
}
