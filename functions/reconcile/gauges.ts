import { Gauge, type Registry } from 'prom-client';
import type { FleetNumbers } from '#shared/adapters/postgres/fleet-facts.ts';
import { ruleOf } from '#shared/domain/drift/policy.ts';

/** Shows the fleet's numbers; they are those of the last tick of this process. */
export function makeFleetGauges(registry: Registry): (numbers: FleetNumbers) => void {
  const findings = new Gauge({
    name: 'fleet_findings',
    help: 'What is not as the records want it, by kind, and what is done about it. Read them by scripts/reconcile.ts.',
    labelNames: ['kind', 'policy', 'severity'],
    registers: [registry],
  });
  const oldest = new Gauge({
    name: 'fleet_oldest_unfinished_operation_seconds',
    help: 'Age of the oldest operation that is not ended; 0 when there is none.',
    registers: [registry],
  });
  const lag = new Gauge({
    name: 'fleet_outbox_lag_seconds',
    help: 'Age of the oldest event that was not published; 0 when there is none.',
    registers: [registry],
  });
  const dead = new Gauge({
    name: 'fleet_dead_events_waiting',
    help: 'Events that nobody could handle and nobody has dealt with.',
    registers: [registry],
  });
  return (numbers) => {
    // a kind that is over shows nothing instead of its last number
    findings.reset();
    for (const [kind, count] of Object.entries(numbers.findings)) {
      const { policy = 'report', severity = 'warning' } = ruleOf(kind) ?? {};
      findings.set({ kind, policy, severity }, count);
    }
    oldest.set(numbers.oldestUnfinishedSeconds);
    lag.set(numbers.outboxLagSeconds);
    dead.set(numbers.deadEventsWaiting);
  };
}
