import { hostname } from 'node:os';
import type { HrTime, Link, SpanContext } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import type { FinishedSpan, SpanKind } from '#shared/adapters/tracing/spans.ts';
import type { TraceContext } from '#shared/domain/trace/trace-context.ts';

/** Sends spans to a collector. @throws Error when it did not take them in time. */
export type SpanExporter = { send(spans: readonly FinishedSpan[]): Promise<void>; close(): Promise<void> };

export type OtlpOptions = {
  /** Of the collector's traces, path included. */
  url: string;
  /** As OTEL_EXPORTER_OTLP_HEADERS writes them: `name=value,name=value`. */
  headers?: string;
  /** For one request and all its tries. */
  timeoutMs: number;
  /** The function. */
  serviceName: string;
};

/**
 * Loads OpenTelemetry's exporter (OTLP over HTTP, JSON), and only when this is called. OTEL_RESOURCE_ATTRIBUTES and
 * OTEL_SERVICE_NAME are read as OpenTelemetry does.
 */
export async function openOtlpExporter(options: OtlpOptions): Promise<SpanExporter> {
  const [{ OTLPTraceExporter }, { detectResources, envDetector, resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const exporter = new OTLPTraceExporter({
    url: options.url,
    headers: headersOf(options.headers ?? ''),
    timeoutMillis: options.timeoutMs,
  });
  const resource = resourceFromAttributes({
    'service.namespace': 'odoo-fleet',
    'service.name': options.serviceName,
    'service.instance.id': `${hostname()}-${process.pid}`,
  }).merge(detectResources({ detectors: [envDetector] }));
  return {
    send: (spans) =>
      new Promise((resolve, reject) => {
        exporter.export(
          spans.map((span) => readable(span, resource)),
          // 0 is success; the error of a failure may quote what the collector answered
          ({ code, error }) => (code === 0 ? resolve() : reject(error ?? new Error('the collector refused'))),
        );
      }),
    close: () => exporter.shutdown(),
  };
}

function headersOf(text: string): Record<string, string> {
  const pairs = text.split(',').flatMap((pair) => {
    const at = pair.indexOf('=');
    return at < 1 ? [] : [[pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())] as const];
  });
  return Object.fromEntries(pairs);
}

// OpenTelemetry's numbers
const kinds: Readonly<Record<SpanKind, number>> = { internal: 0, server: 1, client: 2, producer: 3, consumer: 4 };
const scope = { name: 'odoo-fleet' };

function readable(span: FinishedSpan, resource: Resource): ReadableSpan {
  const { name, kind, attributes, failure, parentSpanId } = span;
  return {
    name,
    kind: kinds[kind],
    spanContext: () => spanContextOf(span),
    ...(parentSpanId === undefined ? {} : { parentSpanContext: spanContextOf({ ...span, spanId: parentSpanId }) }),
    startTime: hrTimeOf(span.startMs),
    endTime: hrTimeOf(span.endMs),
    duration: hrTimeOf(span.endMs - span.startMs),
    ended: true,
    status: failure === undefined ? { code: 0 } : { code: 2, message: failure },
    attributes: failure === undefined ? attributes : { ...attributes, 'error.type': failure },
    links: span.links.map((link): Link => ({ context: spanContextOf(link) })),
    events: [],
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function spanContextOf({ traceId, spanId, traceFlags }: TraceContext): SpanContext {
  return { traceId, spanId, traceFlags: Number.parseInt(traceFlags, 16) };
}

/** Seconds and nanoseconds. */
function hrTimeOf(milliseconds: number): HrTime {
  const seconds = Math.floor(milliseconds / 1_000);
  return [seconds, Math.round((milliseconds - seconds * 1_000) * 1e6)];
}
