import { randomBytes } from 'node:crypto';
import { asFailure } from '#shared/domain/failure.ts';
import { isSampled, type TraceContext } from '#shared/domain/trace/trace-context.ts';
import { currentContext, type RequestContext, runInContext } from './request-context.ts';

/** Facts about a span: closed words, numbers and ids of ours. Never what a person has written. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** A piece of work that is over, as it goes to a tracing system. */
export type FinishedSpan = TraceContext & {
  name: string;
  kind: SpanKind;
  parentSpanId: string | undefined;
  /** Milliseconds since 1970. */
  startMs: number;
  endMs: number;
  attributes: SpanAttributes;
  /** Code of the failure it ended with. */
  failure: string | undefined;
  links: readonly TraceContext[];
};

/** Takes spans, and sends on what it holds. */
export type SpanRecorder = {
  record(span: FinishedSpan): void;
  /** Sends what was recorded; ends within its own bound and never throws. */
  flush(): Promise<void>;
};

let recorder: SpanRecorder | undefined;

/** Spans go there from now on; without a recorder nothing is measured. */
export function recordSpansTo(next: SpanRecorder | undefined): void {
  recorder = next;
}

/** Does anybody take spans? Whoever has to gather facts for one asks first. */
export function isRecording(): boolean {
  return recorder !== undefined;
}

/** Sends on what was recorded; at once when nothing is. */
export function flushSpans(): Promise<void> | undefined {
  return recorder?.flush();
}

type Started = {
  name: string;
  kind?: SpanKind;
  attributes?: SpanAttributes;
  /** Work that belongs to another trace than the running request: its span goes there and links the request. */
  under?: TraceContext | undefined;
};

/**
 * Runs `work` as a span of the running request's trace: what it sends is the span's child. `note` adds facts to it. Without a
 * recorder, outside of a request, or in a trace that is not recorded it only runs the work.
 */
export async function inSpan<Result>(
  started: Started,
  work: (note: (facts: SpanAttributes) => void) => Promise<Result>,
): Promise<Result> {
  const context = currentContext();
  const to = recorder;
  if (to === undefined || context === undefined) return await work(nothing);
  const isElsewhere = started.under !== undefined && started.under.traceId !== context.traceId;
  const parent = isElsewhere ? (started.under ?? context) : context;
  if (!isSampled(parent)) return await work(nothing);
  const startMs = nowMs();
  const trace = { ...traceOf(parent), spanId: randomBytes(8).toString('hex') };
  const attributes: Record<string, string | number | boolean> = { ...started.attributes };
  let failure: string | undefined;
  try {
    return await runInContext(insideOf(context, trace), () => work((facts) => void Object.assign(attributes, facts)));
  } catch (error) {
    failure = asFailure(error).code;
    throw error;
  } finally {
    to.record({
      ...trace,
      name: started.name,
      kind: started.kind ?? 'internal',
      parentSpanId: parent.spanId,
      startMs,
      endMs: nowMs(),
      attributes,
      failure,
      links: isElsewhere && isSampled(context) ? [traceOf(context)] : [],
    });
  }
}

/** Records the request itself: the span that all others of it are below. */
export function recordRequest(
  context: RequestContext,
  request: {
    name: string;
    kind: SpanKind;
    milliseconds: number;
    attributes: SpanAttributes;
    failure: string | undefined;
  },
): void {
  if (recorder === undefined || !isSampled(context)) return;
  const { name, kind, attributes, failure } = request;
  const endMs = nowMs();
  recorder.record({
    ...traceOf(context),
    name,
    kind,
    parentSpanId: context.parentSpanId,
    startMs: endMs - request.milliseconds,
    endMs,
    attributes,
    failure,
    links: context.link === undefined ? [] : [context.link],
  });
}

const nothing = () => undefined;
const nowMs = () => performance.timeOrigin + performance.now();

function traceOf({ traceId, spanId, traceFlags, traceState }: TraceContext): TraceContext {
  return { traceId, spanId, traceFlags, traceState };
}

/** The same request, seen from inside a span. */
function insideOf(context: RequestContext, trace: TraceContext): RequestContext {
  const { requestId, parentSpanId, link, written, eventId, operationId } = context;
  return {
    ...{ requestId, traceState: undefined, parentSpanId, link, written },
    ...trace,
    ...(eventId === undefined ? {} : { eventId }),
    ...(operationId === undefined ? {} : { operationId }),
  };
}
