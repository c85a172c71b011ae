import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** How full a pool is. */
export type PoolLevels = { total: number; idle: number; waiting: number; max: number };

/** The numbers of one process, in the text format of Prometheus. */
export type Metrics = {
  /** For numbers of a function's own. */
  registry: Registry;
  /** One handled request: rate, errors and duration come from this. */
  observeRequest(request: { type: string; outcome: string; status: number; seconds: number }): void;
  /** Shows a pool; it is asked when the numbers are read, not before. */
  addPool(name: string, levels: () => PoolLevels): void;
  /** Requests being handled now. */
  countInFlight(inFlight: () => number): void;
  render(): Promise<{ contentType: string; text: string }>;
};

// Seconds. A warm event takes milliseconds, a step up to 20 s, a request at most 120 s.
const durationBuckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60, 120];

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
  const pools = new Map<string, () => PoolLevels>();
  let inFlightNow = () => 0;
  makePoolGauge(registry, pools);
  makeInFlightGauge(registry, () => inFlightNow());

  return {
    registry,
    observeRequest({ type, outcome, status, seconds }) {
      duration.observe({ type, outcome, status }, seconds);
    },
    addPool: (name, levels) => void pools.set(name, levels),
    countInFlight: (inFlight) => {
      inFlightNow = inFlight;
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

function makePoolGauge(registry: Registry, pools: ReadonlyMap<string, () => PoolLevels>): void {
  new Gauge({
    name: 'fleet_pool_connections',
    help: 'Connections of a pool by state; `waiting` counts callers without one, `max` is the limit.',
    labelNames: ['pool', 'state'],
    registers: [registry],
    collect() {
      for (const [pool, levels] of pools) {
        for (const [state, value] of Object.entries(levels())) this.set({ pool, state }, value);
      }
    },
  });
}

function makeInFlightGauge(registry: Registry, inFlight: () => number): void {
  new Gauge({
    name: 'fleet_requests_in_flight',
    help: 'Requests being handled.',
    registers: [registry],
    collect() {
      this.set(inFlight());
    },
  });
}
