import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { makeFleetGauges } from './gauges.ts';

const quiet = { findings: {}, oldestUnfinishedSeconds: 0, outboxLagSeconds: 0, deadEventsWaiting: 0 };

test('findings are shown by kind with what is done about them, and a kind that is over is not shown', async () => {
  const registry = new Registry();
  const show = makeFleetGauges(registry);
  show({ ...quiet, findings: { 'database-missing': 2, 'kind-of-a-later-version': 1 } });
  const text = await registry.metrics();
  expect(text).toContain('fleet_findings{kind="database-missing",policy="report",severity="alarm"} 2');
  expect(text).toContain('fleet_findings{kind="kind-of-a-later-version",policy="report",severity="warning"} 1');
  show({ ...quiet, oldestUnfinishedSeconds: 12.5, outboxLagSeconds: 3, deadEventsWaiting: 4 });
  const later = await registry.metrics();
  expect(later).not.toContain('fleet_findings{');
  expect(later).toContain('fleet_oldest_unfinished_operation_seconds 12.5');
  expect(later).toContain('fleet_outbox_lag_seconds 3');
  expect(later).toContain('fleet_dead_events_waiting 4');
});
