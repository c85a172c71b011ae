import { Gauge, type Registry } from 'prom-client';
import type { FleetNumbers } from '#shared/adapters/postgres/fleet-numbers.ts';
import { ruleOf } from '#shared/domain/drift/policy.ts';
import { backupGauges } from './backup-gauges.ts';
import { edgeGauges } from './edge-gauges.ts';

/**
 * Ticks come every ten seconds, and one may take half a minute. Where several processes of reconcile run, each shows
 * what its own last tick has counted: one that gets no ticks shows nothing, instead of an old number.
 */
const freshMs = 60_000;

type Labels = Record<string, string>;
type Sample = { labels: Labels; value: number };

/** What one of the fleet's gauges is called and how it is read from the numbers. */
export type FleetGauge = {
  name: string;
  help: string;
  labelNames: readonly string[];
  samples(numbers: FleetNumbers): readonly Sample[];
};

export const one = (value: number): readonly Sample[] => [{ labels: {}, value }];
const byName = (counts: Readonly<Record<string, number>>, labelsOf: (name: string) => Labels): readonly Sample[] =>
  Object.entries(counts).map(([name, value]) => ({ labels: labelsOf(name), value }));

const gauges: readonly FleetGauge[] = [
  {
    name: 'fleet_findings',
    help: 'What is not as the records want it, by kind, and what is done about it. Read them by scripts/reconcile.ts.',
    labelNames: ['kind', 'policy', 'severity'],
    samples: ({ findings }) =>
      byName(findings, (kind) => {
        const { policy = 'report', severity = 'warning' } = ruleOf(kind) ?? {};
        return { kind, policy, severity };
      }),
  },
  {
    name: 'fleet_instances',
    help: 'Instances that are not purged, by status.',
    labelNames: ['status'],
    samples: ({ instances }) => byName(instances, (status) => ({ status })),
  },
  {
    name: 'fleet_operations',
    help: 'Operations that are not ended.',
    labelNames: ['kind', 'state'],
    samples: ({ operations }) =>
      operations.map(({ kind, state, count }) => ({ labels: { kind, state }, value: count })),
  },
  {
    name: 'fleet_operations_oldest_age_seconds',
    help: 'Time since the oldest of them was accepted.',
    labelNames: ['kind', 'state'],
    samples: ({ operations }) =>
      operations.map(({ kind, state, oldestAge }) => ({ labels: { kind, state }, value: oldestAge })),
  },
  {
    name: 'fleet_operations_overdue',
    help: 'Unfinished operations whose deadline is over.',
    labelNames: ['kind'],
    samples: (numbers) => numbers.overdueOperations.map(({ kind, count }) => ({ labels: { kind }, value: count })),
  },
  {
    name: 'fleet_operations_longest_overdue_seconds',
    help: 'Time since the earliest of these deadlines.',
    labelNames: ['kind'],
    samples: (numbers) =>
      numbers.overdueOperations.map(({ kind, oldestDelay }) => ({ labels: { kind }, value: oldestDelay })),
  },
  {
    name: 'fleet_outbox_unpublished_events',
    help: 'Events the broker has not accepted yet.',
    labelNames: [],
    samples: ({ outbox }) => one(outbox.unpublished),
  },
  {
    name: 'fleet_outbox_oldest_unpublished_age_seconds',
    help: 'Age of the oldest of them; 0 when there is none.',
    labelNames: [],
    samples: ({ outbox }) => one(outbox.oldestAge),
  },
  {
    name: 'fleet_dead_events',
    help: 'Dead events that are not resolved. `transient` ones go back by themselves; the others, and those given up, wait for a person.',
    labelNames: ['class', 'state'],
    samples: ({ deadEvents }) =>
      deadEvents.map((row) => ({ labels: { class: row.class, state: row.state }, value: row.count })),
  },
  {
    name: 'fleet_dead_events_oldest_age_seconds',
    help: 'Time since the oldest of them was received.',
    labelNames: ['class', 'state'],
    samples: ({ deadEvents }) =>
      deadEvents.map((row) => ({ labels: { class: row.class, state: row.state }, value: row.oldestAge })),
  },
  {
    name: 'fleet_reconcile_shards_overdue',
    help: 'Shards that have been due for more than a minute and that no tick has compared.',
    labelNames: [],
    samples: ({ shards }) => one(shards.overdue),
  },
  {
    name: 'fleet_reconcile_oldest_delay_seconds',
    help: 'How long the shard that waits longest has been due; 0 when none is.',
    labelNames: [],
    samples: ({ shards }) => one(shards.oldestDelay),
  },
  {
    name: 'fleet_reconcile_shards_blind',
    help: 'Shards whose last comparison could not see a cluster or a database server.',
    labelNames: [],
    samples: ({ shards }) => one(shards.blind),
  },
  {
    name: 'fleet_database_server_instances',
    help: 'Instances placed on an Odoo database server in use.',
    labelNames: ['server'],
    samples: ({ servers }) => servers.map(({ server, instances }) => ({ labels: { server }, value: instances })),
  },
  {
    name: 'fleet_database_server_max_instances',
    help: 'Instances that may be placed on it.',
    labelNames: ['server'],
    samples: ({ servers }) => servers.map(({ server, limit }) => ({ labels: { server }, value: limit })),
  },
  ...backupGauges,
  ...edgeGauges,
];

/** Shows the fleet's numbers: those of the last tick of this process, for a minute. */
export function makeFleetGauges(
  registry: Registry,
  options: { clock?: () => number } = {},
): (numbers: FleetNumbers) => void {
  const clock = options.clock ?? Date.now;
  let last: { numbers: FleetNumbers; atMs: number } | undefined;
  for (const { name, help, labelNames, samples } of gauges) {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        // a kind that is over shows nothing instead of its last number
        this.reset();
        // without labels `reset` leaves a 0, which would say that all is well
        if (labelNames.length === 0) this.remove();
        if (last === undefined || clock() - last.atMs > freshMs) return;
        for (const { labels, value } of samples(last.numbers)) this.set(labels, value);
      },
    });
  }
  return (numbers) => {
    last = { numbers, atMs: clock() };
  };
}
