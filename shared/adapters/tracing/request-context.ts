import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { continuedTrace, parseTrace, type TraceContext } from '#shared/domain/trace/trace-context.ts';

/**
 * What belongs to the request that is being handled: every line of its log carries it, and what it sends continues its
 * trace. It is ambient because it would otherwise be an argument of every call there is.
 */
export type RequestContext = TraceContext & {
  readonly requestId: string;
  /** The sender's span; undefined where the trace begins here. */
  readonly parentSpanId: string | undefined;
  /** The trace of the way here, where the event belongs to another one. */
  readonly link: TraceContext | undefined;
  /** Events that it has committed, until it publishes them. */
  readonly written: WrittenEvent[];
  eventId?: string;
  operationId?: string;
};

/** An event of the outbox, and when its transaction was committed, by `performance.now()`. */
export type WrittenEvent = { event: OutgoingEvent; committedMs: number };

const storage = new AsyncLocalStorage<RequestContext>();

/** Runs `work` with the context; everything it awaits sees it too. */
export function runInContext<Result>(context: RequestContext, work: () => Result): Result {
  return storage.run(context, work);
}

/** The context of the running request; undefined outside of one. */
export function currentContext(): RequestContext | undefined {
  return storage.getStore();
}

/** Notes what the request turned out to be about. */
export function noteInContext(facts: { eventId?: string; operationId?: string }): void {
  const context = storage.getStore();
  if (context !== undefined) Object.assign(context, facts);
}

// Other ids would have to be escaped wherever they are shown.
const requestIdPattern = /^[A-Za-z0-9._:-]{1,128}$/;

// One random draw per process and a count: as unique as a random id per request, and cheaper.
const processId = randomUUID();
let requestCount = 0;
let isRecorded = (_traceId: string) => true;

/** Decides which of the traces that begin here are recorded; all of them unless this is called. */
export function sampleBy(decide: (traceId: string) => boolean): void {
  isRecorded = decide;
}

type Trace = {
  traceId: string;
  spanId: string;
  traceFlags: string;
  traceState: string | undefined;
  parentSpanId: string | undefined;
  link: TraceContext | undefined;
};

/**
 * The context of a new request: id from `x-request-id`, trace from `traceparent` and from the event's extension of that
 * name, which survives brokers; what is missing or malformed is made anew.
 */
export function contextOf(headers: IncomingHttpHeaders): RequestContext {
  const given = headers['x-request-id'];
  const isUsable = typeof given === 'string' && requestIdPattern.test(given);
  requestCount += 1;
  return new LazyContext(isUsable ? given : `${processId}-${requestCount}`, headers);
}

/**
 * For an event whose attributes are in its body: what it says of its trace, as if it had come in headers. Without effect
 * once the request has logged or sent something.
 */
export function continueEvent(extensions: Readonly<Record<string, string>>): void {
  const context = storage.getStore();
  if (context instanceof LazyContext) context.addExtensions(extensions);
}

/** Draws ids and reads headers when first asked for: most requests log nothing and send nothing. */
class LazyContext implements RequestContext {
  readonly requestId: string;
  readonly written: WrittenEvent[] = [];
  eventId?: string;
  operationId?: string;
  readonly #headers: IncomingHttpHeaders;
  #extensions: Readonly<Record<string, string>> | undefined;
  #trace: Trace | undefined;

  constructor(requestId: string, headers: IncomingHttpHeaders) {
    this.requestId = requestId;
    this.#headers = headers;
  }

  get traceId(): string {
    return this.#drawn().traceId;
  }
  get spanId(): string {
    return this.#drawn().spanId;
  }
  get traceFlags(): string {
    return this.#drawn().traceFlags;
  }
  get traceState(): string | undefined {
    return this.#drawn().traceState;
  }
  get parentSpanId(): string | undefined {
    return this.#drawn().parentSpanId;
  }
  get link(): TraceContext | undefined {
    return this.#drawn().link;
  }

  addExtensions(extensions: Readonly<Record<string, string>>): void {
    this.#extensions = extensions;
  }

  #drawn(): Trace {
    this.#trace ??= newTrace(this.#headers, this.#extensions);
    return this.#trace;
  }
}

function newTrace(headers: IncomingHttpHeaders, extensions: Readonly<Record<string, string>> | undefined): Trace {
  const { parent, link } = continuedTrace(
    parseTrace(headers['traceparent'], headers['tracestate']),
    parseTrace(
      headers['ce-traceparent'] ?? extensions?.['traceparent'],
      headers['ce-tracestate'] ?? extensions?.['tracestate'],
    ),
  );
  // the span id is the random tail of the same draw
  const id = randomUUID().replaceAll('-', '');
  const spanId = id.slice(16);
  if (parent === undefined) {
    const traceFlags = isRecorded(id) ? '01' : '00';
    return { traceId: id, spanId, traceFlags, traceState: undefined, parentSpanId: undefined, link };
  }
  const { traceId, traceFlags, traceState } = parent;
  return { traceId, spanId, traceFlags, traceState, parentSpanId: parent.spanId, link };
}
