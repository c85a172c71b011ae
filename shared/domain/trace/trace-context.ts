/** W3C Trace Context: the place in a trace that somebody is called from. */
export type TraceContext = {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits: the span that calls. */
  readonly spanId: string;
  /** Two hexadecimal digits; the lowest bit says that the trace is recorded. */
  readonly traceFlags: string;
  /** `tracestate`: what tracing systems tell each other. Passed on as it came. */
  readonly traceState?: string | undefined;
};

const traceparentPattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
// What the recommendation asks everybody to pass on at least; longer ones are dropped whole.
const maxStateLength = 512;
const statePattern = /^[a-z0-9][\x21-\x7e]*=[\x20-\x7e]*$/;

/** Reads `traceparent` and `tracestate`; undefined when there is no valid parent. A bad state is left out. */
export function parseTrace(traceparent: unknown, tracestate?: unknown): TraceContext | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const [, traceId, spanId, traceFlags] = traceparentPattern.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || traceFlags === undefined) return undefined;
  const isState =
    typeof tracestate === 'string' && tracestate.length <= maxStateLength && statePattern.test(tracestate);
  return { traceId, spanId, traceFlags, ...(isState ? { traceState: tracestate } : {}) };
}

/** As the header and the extension attribute of that name say it. */
export function traceparentOf({ traceId, spanId, traceFlags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${traceFlags}`;
}

/** Both, under the names they have as headers and as extension attributes of events. */
export function traceAttributes(trace: TraceContext | undefined): { traceparent?: string; tracestate?: string } {
  if (trace === undefined) return {};
  const { traceState } = trace;
  return { traceparent: traceparentOf(trace), ...(traceState === undefined ? {} : { tracestate: traceState }) };
}

/** Whether the trace is recorded. */
export function isSampled({ traceFlags }: Pick<TraceContext, 'traceFlags'>): boolean {
  return (Number.parseInt(traceFlags, 16) & 1) === 1;
}

/**
 * What a received request continues. A header tells of the last hop, the event's extension attribute of where the event
 * began. Of one trace the header is nearer, and the trace is recorded if either says so: what is on the way may not
 * record for itself. Of two, the event's is the one to continue, and the hop's becomes a link: a broker that begins a
 * trace of its own must not break the event's.
 */
export function continuedTrace(
  header: TraceContext | undefined,
  extension: TraceContext | undefined,
): { parent: TraceContext | undefined; link: TraceContext | undefined } {
  if (header === undefined || extension === undefined) return { parent: header ?? extension, link: undefined };
  if (header.traceId !== extension.traceId) return { parent: extension, link: header };
  const traceFlags = isSampled(extension) ? extension.traceFlags : header.traceFlags;
  const traceState = header.traceState ?? extension.traceState;
  return { parent: { ...header, traceFlags, traceState }, link: undefined };
}
