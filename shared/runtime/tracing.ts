import { Counter, type Registry } from 'prom-client';
import { sampleBy } from '#shared/adapters/tracing/request-context.ts';
import { type FinishedSpan, recordSpansTo, type SpanRecorder } from '#shared/adapters/tracing/spans.ts';
import { asFailure } from '#shared/domain/failure.ts';
import type { Config } from './config.ts';
import { knownSecrets } from './known-secrets.ts';
import type { Log } from './log.ts';
import { openOtlpExporter, type SpanExporter } from './otlp.ts';
import type { tracing } from './rows.ts';
import type { Shutdown } from './shutdown.ts';

/** After a failure nobody tries for so long, and what was recorded meanwhile is dropped. */
const restMs = 10_000;
/** Of requests that end while others export; more would only fill the memory. */
const maxHeld = 2_048;

type TracingParts = { name: string; log: Pick<Log, 'warn'>; registry: Registry; shutdown: Pick<Shutdown, 'during'> };

/** Sends spans to a collector where one is configured. Else nothing is measured and nothing of OpenTelemetry is loaded. */
export function openTracing(config: Config<typeof tracing>, parts: TracingParts): void {
  const url = config.tracesEndpoint ?? (config.otlpEndpoint && `${config.otlpEndpoint.replace(/\/$/, '')}/v1/traces`);
  if (url === undefined) return;
  sampleBy(samplerOf(config));
  const { otlpHeaders: headers, tracesTimeoutMs: timeoutMs } = config;
  const exporter = openOtlpExporter({
    url,
    timeoutMs,
    serviceName: parts.name,
    ...(headers === undefined ? {} : { headers }),
  });
  const recorder = spanRecorder(exporter, { ...parts, timeoutMs });
  recordSpansTo(recorder);
  parts.shutdown.during('flush', 'traces', () => recorder.flush());
  parts.shutdown.during('close-connections', 'traces', async () => await (await exporter).close());
}

/** Which traces that begin here are recorded. Who is called in a trace does as its caller does. */
export function samplerOf({
  tracesSampler,
  tracesSamplerArg,
}: Pick<Config<typeof tracing>, 'tracesSampler' | 'tracesSamplerArg'>): (traceId: string) => boolean {
  switch (tracesSampler) {
    case 'parentbased_always_off':
      return () => false;
    case 'parentbased_traceidratio':
      return (traceId) => Number.parseInt(traceId.slice(0, 8), 16) < tracesSamplerArg * 2 ** 32;
    default:
      return () => true;
  }
}

/**
 * Holds spans until the request that recorded them ends, and sends them before its answer. A collector that is away or slow
 * costs an event `timeoutMs` at most, and once per rest: then spans are dropped and counted.
 */
export function spanRecorder(
  opening: Promise<SpanExporter>,
  {
    log,
    registry,
    timeoutMs,
    clock = () => performance.now(),
  }: Pick<TracingParts, 'log' | 'registry'> & { timeoutMs: number; clock?: () => number },
): SpanRecorder {
  // whoever flushes first is told
  opening.catch(() => undefined);
  const dropped = new Counter({
    name: 'fleet_trace_spans_dropped_total',
    help: 'Spans that no collector has taken.',
    registers: [registry],
  });
  let held: FinishedSpan[] = [];
  let restUntil = Number.NEGATIVE_INFINITY;

  async function send(spans: readonly FinishedSpan[]): Promise<void> {
    try {
      let isLate = false;
      // one that is loaded too late sends nothing: the request is answered by then
      const sending = opening.then((exporter) => (isLate ? undefined : exporter.send(spans)));
      await inTime(sending, timeoutMs, () => {
        isLate = true;
      });
    } catch (error) {
      dropped.inc(spans.length);
      if (clock() >= restUntil) {
        log.warn({ reason: asFailure(error).message, spans: spans.length }, 'the collector did not take the spans');
      }
      restUntil = clock() + restMs;
    }
  }

  return {
    record(span) {
      if (clock() < restUntil || held.length >= maxHeld) dropped.inc();
      else held.push(scrubbed(span));
    },
    async flush() {
      if (held.length === 0) return;
      const spans = held;
      held = [];
      if (clock() < restUntil) dropped.inc(spans.length);
      else await send(spans);
    },
  };
}

/** Attributes are closed words and ids; should a secret get into one all the same, it is blanked as in a log. */
function scrubbed(span: FinishedSpan): FinishedSpan {
  const entries = Object.entries(span.attributes).map(([key, value]) => [
    key,
    typeof value === 'string' ? knownSecrets.scrub(value) : value,
  ]);
  return { ...span, attributes: Object.fromEntries(entries) as FinishedSpan['attributes'] };
}

async function inTime(work: Promise<void>, timeoutMs: number, onLate: () => void): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    onLate();
    late.reject(new Error(`no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
