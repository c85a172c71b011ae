import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CacheKind, CacheResult } from '#shared/domain/cache/cache.ts';

/** How full a pool is. */
export type PoolLevels = { total: number; idle: number; waiting: number; max: number };

/** The numbers of one process, in the text format of Prometheus. No label holds an id of an instance, operation or event. */
export type Metrics = {
  /** For numbers of a function's own. */
  registry: Registry;
  /** One handled request: rate, errors and duration come from this. */
  observeRequest(request: { type: string; outcome: string; status: number; seconds: number }): void;
  /** Events of the outbox that were sent: those the broker took, with the time since they were written, and the others. */
  observePublished(sent: { delaysSeconds: readonly number[]; failed: number }): void;
  /** One read through the cache. */
  countCacheRead(kind: CacheKind, result: CacheResult): void;
  /** Shows a pool; it is asked when the numbers are read, not before. */
  addPool(name: string, levels: () => PoolLevels): void;
  /** Shows one pool per database server, by the server's id. */
  addServerPools(name: string, levels: () => Readonly<Record<string, PoolLevels>>): void;
  /** Requests being handled now. */
  countInFlight(inFlight: () => number): void;
  render(): Promise<{ contentType: string; text: string }>;
};

// Seconds. A warm event takes milliseconds, a step up to 20 s, a request at most 120 s.
const durationBuckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 120];
// Seconds. Within the request that wrote it, by the next tick (10 s), or when the broker is back.
const delayBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800];

/** Makes the numbers of one function's process. Node's own (memory, event loop, garbage collection) are left out in tests. */
export function makeMetrics(options: { functionName: string; withNodeMetrics?: boolean }): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ function: options.functionName });
  if (options.withNodeMetrics !== false) collectDefaultMetrics({ register: registry });
  const duration = new Histogram({
    name: 'fleet_request_duration_seconds',
    help: 'Time from the request to its answer. `outcome` is the value of the x-outcome header.',
    labelNames: ['type', 'outcome', 'status'],
    buckets: durationBuckets,
    registers: [registry],
  });
  const pools = makePoolGauges(registry);
  const inFlight = makeInFlightGauge(registry);
  return {
    registry,
    observeRequest({ type, outcome, status, seconds }) {
      duration.observe({ type, outcome, status }, seconds);
    },
    observePublished: makePublishMetrics(registry),
    countCacheRead: makeCacheCounter(registry),
    addPool: (pool, levels) => void pools.add(() => [{ labels: { pool }, levels: levels() }]),
    addServerPools: (pool, levels) =>
      void pools.add(() =>
        Object.entries(levels()).map(([server, one]) => ({ labels: { pool, server }, levels: one })),
      ),
    countInFlight: (ask) => {
      inFlight.ask = ask;
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

type PoolReading = { labels: { pool: string; server?: string }; levels: PoolLevels };

/** Whoever is added is asked once per gauge and reading. */
function makePoolGauges(registry: Registry): Set<() => readonly PoolReading[]> {
  const pools = new Set<() => readonly PoolReading[]>();
  const readings = () => [...pools].flatMap((read) => read());
  const registers = [registry];
  new Gauge({
    name: 'fleet_pool_connections',
    help: 'Open connections of a pool, in use (`busy`) or not (`idle`).',
    labelNames: ['pool', 'server', 'state'],
    registers,
    collect() {
      for (const { labels, levels } of readings()) {
        this.set({ ...labels, state: 'idle' }, levels.idle);
        this.set({ ...labels, state: 'busy' }, levels.total - levels.idle);
      }
    },
  });
  new Gauge({
    name: 'fleet_pool_waiting_requests',
    help: 'Callers that wait for a connection of a pool.',
    labelNames: ['pool', 'server'],
    registers,
    collect() {
      for (const { labels, levels } of readings()) this.set(labels, levels.waiting);
    },
  });
  new Gauge({
    name: 'fleet_pool_max_connections',
    help: 'Connections a pool may open.',
    labelNames: ['pool', 'server'],
    registers,
    collect() {
      for (const { labels, levels } of readings()) this.set(labels, levels.max);
    },
  });
  return pools;
}

function makeInFlightGauge(registry: Registry): { ask: () => number } {
  const inFlight = { ask: () => 0 };
  new Gauge({
    name: 'fleet_requests_in_flight',
    help: 'Requests being handled.',
    registers: [registry],
    collect() {
      this.set(inFlight.ask());
    },
  });
  return inFlight;
}

function makePublishMetrics(registry: Registry): Metrics['observePublished'] {
  const registers = [registry];
  const delay = new Histogram({
    name: 'fleet_outbox_publish_delay_seconds',
    help: 'Time from writing an event into the outbox to its acceptance by the broker.',
    buckets: delayBuckets,
    registers,
  });
  const failures = new Counter({
    name: 'fleet_outbox_publish_failures_total',
    help: 'Tries to publish an event of the outbox that the broker did not accept. The tick tries again.',
    registers,
  });
  return ({ delaysSeconds, failed }) => {
    for (const seconds of delaysSeconds) delay.observe(seconds);
    failures.inc(failed);
  };
}

function makeCacheCounter(registry: Registry): Metrics['countCacheRead'] {
  const reads = new Counter({
    name: 'fleet_cache_reads_total',
    help: "Reads through the cache. `local`: the process' own copy; `bypass`: Redis was away.",
    labelNames: ['kind', 'result'],
    registers: [registry],
  });
  return (kind, result) => reads.inc({ kind, result });
}
