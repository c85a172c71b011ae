import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { noNumbers } from '#shared/adapters/postgres/fleet-numbers.ts';
import { makeFleetGauges } from './gauges.ts';
import { makeTickMetrics } from './tick-metrics.ts';
import { makeWarmGauges } from './warm-gauges.ts';

/** The lines of numbers, without help and types. */
const valuesOf = async (registry: Registry) =>
  (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

test('findings are shown by kind with what is done about them, and a kind that is over is not shown', async () => {
  const registry = new Registry();
  const show = makeFleetGauges(registry);
  show({ ...noNumbers, findings: { 'database-missing': 2, 'kind-of-a-later-version': 1 } });
  const values = await valuesOf(registry);
  expect(values).toContain('fleet_findings{kind="database-missing",policy="report",severity="alarm"} 2');
  expect(values).toContain('fleet_findings{kind="kind-of-a-later-version",policy="report",severity="warning"} 1');
  show({ ...noNumbers, outbox: { unpublished: 2, oldestAge: 3 } });
  const later = await valuesOf(registry);
  expect(later.join()).not.toContain('fleet_findings{');
  expect(later).toContain('fleet_outbox_oldest_unpublished_age_seconds 3');
});

test('a process that gets no ticks shows nothing instead of an old number, and one that had none shows no zeros', async () => {
  const registry = new Registry();
  let now = 0;
  const show = makeFleetGauges(registry, { clock: () => now });
  expect(await valuesOf(registry)).toEqual([]);
  show({ ...noNumbers, outbox: { unpublished: 0, oldestAge: 0 } });
  expect(await valuesOf(registry)).toContain('fleet_outbox_unpublished_events 0');
  now = 61_000;
  expect(await valuesOf(registry)).toEqual([]);
});

test('ready clones are shown with what is wished for, until nobody has looked for a minute', async () => {
  const registry = new Registry();
  let now = 0;
  const show = makeWarmGauges(registry, { clock: () => now });
  show({ serverId: 'odoo-1', digest: 'abc', template: 'ready', warm: 1, target: 3 });
  expect(await valuesOf(registry)).toEqual([
    'fleet_warm_databases{server="odoo-1",template="abc"} 1',
    'fleet_warm_databases_wanted{server="odoo-1",template="abc"} 3',
  ]);
  now = 61_000;
  expect(await valuesOf(registry)).toEqual([]);
});

test('a tick tells when it ended, and how many of its parts failed', async () => {
  const registry = new Registry();
  const { lastEnd, troubles } = makeTickMetrics(registry);
  troubles.inc();
  lastEnd.setToCurrentTime();
  const values = await valuesOf(registry);
  expect(values).toContain('fleet_tick_troubles_total 1');
  expect(values.join()).toMatch(/fleet_tick_last_end_timestamp_seconds 1\d{9}/);
});
