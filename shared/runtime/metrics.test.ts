import { expect, it } from 'vitest';
import { makeMetrics } from './metrics.ts';

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
  expect(text).toContain('fleet_requests_in_flight{function="provision"} 7');
});

it('makes numbers of its own per call, so that two in one process do not meet', async () => {
  makeMetrics({ functionName: 'a' }).observeRequest({ type: 't', outcome: 'o', status: 204, seconds: 1 });
  const { text } = await makeMetrics({ functionName: 'b' }).render();
  expect(text).not.toContain('outcome="o"');
  expect(text).toContain('process_resident_memory_bytes{function="b"}');
});
