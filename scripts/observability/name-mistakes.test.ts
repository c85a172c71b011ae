import { expect, test } from 'vitest';
import { dashboards } from './dashboards-of-the-fleet.ts';
import { knownMetrics } from './known-metrics.ts';
import { conventionMistakes, nameMistakes, textMistakes } from './name-mistakes.ts';

const known = knownMetrics();
const mistakesIn = (text: string) => nameMistakes([{ at: 'here', text }], known);

test('a metric that no function shows is named', () => {
  expect(mistakesIn('max(fleet_oubox_age_seconds) > 5')).toEqual([
    'here: no function has a metric fleet_oubox_age_seconds.',
  ]);
  expect(mistakesIn('rate(fleet_request_duration_seconds[5m])')[0]).toContain('no function has a metric');
  expect(mistakesIn('vector(1)')[0]).toContain('names no metric');
});

test('a label that a metric does not have is named, in selectors and groups', () => {
  expect(mistakesIn('fleet_dead_events{kind="x"}')).toEqual(['here: fleet_dead_events has no label kind.']);
  expect(mistakesIn('sum by (status) (fleet_dead_events)')).toEqual(['here: none of its metrics has a label status.']);
  expect(mistakesIn('sum by (class, pod) (fleet_dead_events{state="waiting",function="reconcile"})')).toEqual([]);
});

test('a label that an alert shows and does not keep is named', () => {
  const alert = {
    alert: 'A',
    expr: 'sum by (kind) (fleet_operations)',
    annotations: { summary: '{{ $labels.state }}' },
  };
  expect(textMistakes(alert)).toEqual(['alert A: its expression keeps no label state.']);
});

test('names follow the conventions of Prometheus', () => {
  expect(conventionMistakes(known)).toEqual([]);
  const odd = (name: string, type: string, labels: string[] = []) =>
    conventionMistakes(new Map([[name, { name, type, help: 'It is something.', labels }]]));
  expect(odd('fleet_events', 'counter')).toEqual(['fleet_events: _total is for counters, and all of them.']);
  expect(odd('fleet_wait_ms', 'gauge')).toEqual(['fleet_wait_ms: use base units.']);
  expect(odd('fleet_age_seconds', 'gauge', ['instance_id'])).toEqual([
    'fleet_age_seconds: a label that grows with the fleet.',
  ]);
});

test('every metric of ours is on a dashboard or left out on purpose', () => {
  const shown = JSON.stringify(dashboards);
  const names = [...known.keys()]
    .filter((name) => name.startsWith('fleet_'))
    .map((name) => name.replace(/_(bucket|sum|count)$/, ''));
  const leftOut = [
    'fleet_dead_events_oldest_age_seconds',
    'fleet_dead_letter_spool',
    'fleet_trace_spans_dropped_total',
  ];
  expect([...new Set(names)].filter((name) => !shown.includes(name))).toEqual(leftOut);
});
