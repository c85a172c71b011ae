import type { Registry } from 'prom-client';
import { tellOfSpool } from '#functions/dead-letter/spool-notice.ts';
import { makePlatformBackupGauge } from '#functions/reconcile/backups/platform-age.ts';
import { makeFleetGauges } from '#functions/reconcile/gauges.ts';
import { makeTickMetrics } from '#functions/reconcile/tick-metrics.ts';
import { upkeepTeller } from '#functions/reconcile/upkeep-teller.ts';
import { makeWarmGauges } from '#functions/reconcile/warm-gauges.ts';
import { makeAttemptMetrics } from '#functions/webhook/attempt-metrics.ts';
import { makeMetrics } from '#shared/runtime/metrics.ts';
import { operationMetrics } from '#shared/runtime/operation/operation-metrics.ts';
import { spanRecorder } from '#shared/runtime/tracing.ts';

/** A metric as a function shows it: the labels its samples may have. */
export type KnownMetric = { name: string; type: string; help: string; labels: readonly string[] };

/** Labels that Prometheus or the PodMonitor adds to every sample. */
const targetLabels = ['job', 'instance', 'namespace', 'pod', 'container'];

/** Every metric of every function, from the code that makes them. Histograms and summaries are named as their parts. */
export function knownMetrics(): Map<string, KnownMetric> {
  const { registry } = makeMetrics({ functionName: 'any' });
  const silent = { info: () => undefined, error: () => undefined };
  makeFleetGauges(registry);
  makeWarmGauges(registry);
  makeTickMetrics(registry);
  makePlatformBackupGauge(registry);
  makeAttemptMetrics(registry);
  upkeepTeller({ log: silent, registry });
  tellOfSpool(true, { log: silent, registry });
  operationMetrics(registry, 'provision');
  spanRecorder(new Promise(() => undefined), { log: { warn: () => undefined }, registry, timeoutMs: 1 });
  return new Map(declaredIn(registry).flatMap((metric) => partsOf(metric).map((part) => [part.name, part])));
}

const declaredIn = (registry: Registry) => registry.getMetricsAsArray() as unknown as readonly Declared[];

/** What prom-client's types leave out: every metric has these. */
type Declared = { name: string; help: string; type: string; labelNames: readonly string[] };

function partsOf({ name, help, type, labelNames }: Declared): KnownMetric[] {
  const part = (suffix: string, ...more: string[]): KnownMetric => ({
    name: `${name}${suffix}`,
    type,
    help,
    labels: [...labelNames, ...more, 'function', ...targetLabels],
  });
  if (type === 'histogram') return [part('_bucket', 'le'), part('_sum'), part('_count')];
  if (type === 'summary') return [part('', 'quantile'), part('_sum'), part('_count')];
  return [part('')];
}
