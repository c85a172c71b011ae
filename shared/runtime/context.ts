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

// One random draw per process and a count: as unique as a random id per request, and cheaper.
const processId = randomUUID();
let requestCount = 0;

/**
 * The context of a new request: id from `x-request-id`, trace from `traceparent` (or the event's extension of that
 * name, which survives brokers); what is missing or malformed is made anew.
 */
export function contextOf(headers: IncomingHttpHeaders): RequestContext {
  const given = headers['x-request-id'];
  const isUsable = typeof given === 'string' && requestIdPattern.test(given);
  requestCount += 1;
  let trace: Trace | undefined;
  // drawn when first asked for: most requests log nothing and send nothing
  const traceOnce = () => {
    trace ??= newTrace(traceOf(headers['traceparent']) ?? traceOf(headers['ce-traceparent']));
    return trace;
  };
  return {
    requestId: isUsable ? given : `${processId}-${requestCount}`,
    get traceId() {
      return traceOnce().traceId;
    },
    get spanId() {
      return traceOnce().spanId;
    },
    get traceFlags() {
      return traceOnce().flags;
    },
  };
}

type Trace = { traceId: string; spanId: string; flags: string };

function newTrace(parent: { traceId: string; flags: string } | undefined): Trace {
  // the span id is the random tail of the same draw
  const id = randomUUID().replaceAll('-', '');
  return { traceId: parent?.traceId ?? id, spanId: id.slice(16), flags: parent?.flags ?? '01' };
}

function traceOf(traceparent: string | string[] | undefined): { traceId: string; flags: string } | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const [, traceId, flags] = traceparentPattern.exec(traceparent) ?? [];
  return traceId === undefined || flags === undefined ? undefined : { traceId, flags };
}
