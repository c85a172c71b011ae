import { expect, test } from 'vitest';
import { namesOf } from './promql.ts';

test('finds metrics and the labels asked of them, in functions, aggregations and comparisons', () => {
  const text =
    'histogram_quantile(0.95, sum by (function, le) (rate(a_bucket{function!="x",le=~"5|6"}[10m]))) > 20 or absent(b_total)';
  expect(namesOf(text)).toEqual({
    metrics: [
      { name: 'a_bucket', labels: ['function', 'le'] },
      { name: 'b_total', labels: [] },
    ],
    groupLabels: ['function', 'le'],
  });
});

test('finds what is joined by labels', () => {
  expect(namesOf('a == 0 and on (server) group_left (zone) max without (pod) (b) > 1e3 * 60')).toEqual({
    metrics: [
      { name: 'a', labels: [] },
      { name: 'b', labels: [] },
    ],
    groupLabels: ['server', 'zone', 'pod'],
  });
});

test('takes neither keywords nor durations nor variables for metrics', () => {
  expect(
    namesOf('rate(a[$__rate_interval] offset 5m) unless bool b{x="by (c)"}').metrics.map(({ name }) => name),
  ).toEqual(['a', 'b']);
});
