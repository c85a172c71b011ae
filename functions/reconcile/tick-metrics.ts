import { Counter, Gauge, type Registry } from 'prom-client';

/** The numbers of the tick itself. */
export function makeTickMetrics(registry: Registry): { lastEnd: Gauge; troubles: Counter } {
  const registers = [registry];
  return {
    lastEnd: new Gauge({
      name: 'fleet_tick_last_end_timestamp_seconds',
      help: 'When this process ended a tick last, in seconds since 1970; 0 before the first. The fleet lives while the newest moves on.',
      registers,
    }),
    troubles: new Counter({
      name: 'fleet_tick_troubles_total',
      help: 'Parts of ticks that failed; the log says which. The next tick tries again.',
      registers,
    }),
  };
}
