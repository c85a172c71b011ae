import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { makeMetrics } from './metrics.ts';
import { operationMetrics } from './operation/operation-metrics.ts';
import { showServerPools } from './server-pools.ts';

it('counts requests and their duration by type, outcome and status', async () => {
  const metrics = makeMetrics({ functionName: 'provision', withNodeMetrics: false });
  metrics.observeRequest({ type: 'some.type', outcome: 'accepted', status: 204, seconds: 0.02 });
  const { text, contentType } = await metrics.render();
  expect(contentType).toContain('text/plain');
  const count = /fleet_request_duration_seconds_count\{(.*)\} 1\n/.exec(text)?.[1]?.split(',');
  expect(count?.sort()).toEqual(['function="provision"', 'outcome="accepted"', 'status="204"', 'type="some.type"']);
  expect(text).toMatch(/fleet_request_duration_seconds_bucket\{le="0.01",.*\} 0\n/);
  expect(text).toMatch(/fleet_request_duration_seconds_bucket\{le="0.025",.*\} 1\n/);
});

it('asks pools and hosts when the numbers are read', async () => {
  const metrics = makeMetrics({ functionName: 'provision', withNodeMetrics: false });
  let idle = 1;
  metrics.addPool('platform', () => ({ total: 5, idle, waiting: 0, max: 5 }));
  metrics.countInFlight(() => 7);
  idle = 4;
  const { text } = await metrics.render();
  expect(text).toContain('fleet_pool_connections{pool="platform",state="idle",function="provision"} 4');
  expect(text).toContain('fleet_pool_connections{pool="platform",state="busy",function="provision"} 1');
  expect(text).toContain('fleet_pool_waiting_requests{pool="platform",function="provision"} 0');
  expect(text).toContain('fleet_pool_max_connections{pool="platform",function="provision"} 5');
  expect(text).toContain('fleet_requests_in_flight{function="provision"} 7');
});

it('makes numbers of its own per call, so that two in one process do not meet', async () => {
  makeMetrics({ functionName: 'a' }).observeRequest({ type: 't', outcome: 'o', status: 204, seconds: 1 });
  const { text } = await makeMetrics({ functionName: 'b' }).render();
  expect(text).not.toContain('outcome="o"');
  expect(text).toContain('process_resident_memory_bytes{function="b"}');
});

it('shows a pool per database server, by its id', async () => {
  const metrics = makeMetrics({ functionName: 'provision', withNodeMetrics: false });
  const stats = { total: 3, idle: 2, waiting: 4, max: 4, unpooled: 1, unpooledWaiting: 6, unpooledMax: 4 };
  showServerPools(metrics, () => ({ 'odoo-1': stats }));
  const { text } = await metrics.render();
  expect(text).toContain('fleet_pool_waiting_requests{pool="odoo-control",server="odoo-1",function="provision"} 4');
  expect(text).toContain('fleet_pool_waiting_requests{pool="odoo-tenants",server="odoo-1",function="provision"} 6');
  expect(text).toContain('{pool="odoo-tenants",server="odoo-1",state="busy",function="provision"} 1');
});

it('counts reads through the cache by what came of them', async () => {
  const metrics = makeMetrics({ functionName: 'api', withNodeMetrics: false });
  for (const result of ['hit', 'hit', 'miss', 'stale'] as const) metrics.countCacheRead('instance', result);
  const { text } = await metrics.render();
  expect(text).toContain('fleet_cache_reads_total{kind="instance",result="hit",function="api"} 2');
  expect(text).toContain('fleet_cache_reads_total{kind="instance",result="stale",function="api"} 1');
});

it('counts what the broker took with its delay, and what it did not take', async () => {
  const metrics = makeMetrics({ functionName: 'provision', withNodeMetrics: false });
  metrics.observePublished({ delaysSeconds: [0.02, 7], failed: 3 });
  const { text } = await metrics.render();
  expect(text).toContain('fleet_outbox_publish_delay_seconds_bucket{le="0.05",function="provision"} 1');
  expect(text).toContain('fleet_outbox_publish_delay_seconds_count{function="provision"} 2');
  expect(text).toContain('fleet_outbox_publish_failures_total{function="provision"} 3');
});

it('times the steps and the ends of operations, and counts retries', async () => {
  const registry = new Registry();
  const watch = operationMetrics(registry, 'stop');
  const failure = new Failure('timeout', 'The cluster is slow.');
  watch.onStep({ operationId: 'x', name: 'scale-down', phase: 'act', milliseconds: 30 });
  watch.onTrouble({ operationId: 'x', step: 'scale-down', failure, next: 'try-again' });
  watch.onEnd({ operationId: 'x', outcome: 'succeeded', ageMs: 4_000 });
  const text = await registry.metrics();
  const act = 'kind="stop",step="scale-down",phase="act"';
  expect(text).toContain(`fleet_step_duration_seconds_bucket{le="0.05",${act}} 1`);
  expect(text).toContain('fleet_step_failures_total{kind="stop",step="scale-down",code="timeout",next="try-again"} 1');
  expect(text).toContain('fleet_operation_duration_seconds_sum{kind="stop",outcome="succeeded"} 4');
});
