import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import { podsOfFunction } from './pods.fixture.ts';
import {
  holdWithPods,
  makeRemnants,
  notToldOnce,
  release,
  statusesOf,
  terminate,
  terminationsOf,
  untilHeld,
  untilTerminated,
} from './remnant.fixture.ts';

const burstSize = 50;

/** More at once than one pod takes. */
export function burstTests(fleet: () => FleetUnderTest): void {
  it('scales a function out for fifty events at once, within its connections, and does each once', async () => {
    const ids = await makeRemnants(fleet(), 'burst', burstSize);
    // Half of them wait for pods, some seconds in each request: one pod of the function would need long for that.
    const held = ids.slice(0, burstSize / 2);
    await holdWithPods(fleet(), held);
    const budget = await connectionBudget(fleet());
    const connections = await watchConnections(fleet());
    const pods = watchPods(fleet());
    try {
      await terminate(fleet(), ids);
      await untilHeld(fleet(), held);
      const isScaledOut = async () => pods.seen().busy > 1 && pods.seen().atOnce > 1;
      await until('a second pod at work', isScaledOut, { limitMs: 60_000 });
      await release(fleet(), held);
      await untilTerminated(fleet(), ids);
    } finally {
      await Promise.all([connections.stop(), pods.stop()]);
    }
    const { ofTerminate, ofAll } = connections.most();
    const { atOnce } = pods.seen();
    const bounds = `of ${budget.ofTerminate} and ${budget.ofAll}`;
    const line = `${atOnce} of ${budget.pods} pods at once, at most ${ofTerminate} and ${ofAll} connections ${bounds}`;
    process.stderr.write(`burst: ${line}\n`);
    expect(atOnce).toBeLessThanOrEqual(budget.pods);
    expect(ofTerminate).toBeGreaterThan(0);
    expect(ofTerminate).toBeLessThanOrEqual(budget.ofTerminate);
    expect(ofAll).toBeLessThanOrEqual(budget.ofAll);
    const operations = await terminationsOf(fleet(), ids);
    expect(new Set(operations.map(({ instance_id }) => instance_id)).size).toBe(burstSize);
    expect(operations).toHaveLength(burstSize);
    expect(await notToldOnce(fleet(), ids)).toEqual([]);
    expect(await statusesOf(fleet(), ids)).toEqual(['terminated']);
  }, 300_000);
}

type Connections = { ofTerminate: number; ofAll: number };

/** What the deployed objects allow: pods of `terminate`, its connections, and those of all functions. */
type Budget = Connections & { pods: number };

async function connectionBudget({ kubectl }: FleetUnderTest): Promise<Budget> {
  const inPlace = (...args: string[]) => kubectl.run(['-n', 'odoo-fleet', 'get', ...args]);
  type Service = {
    metadata: { name: string };
    spec: {
      template: { metadata: { annotations: Record<string, string> }; spec: { containers: [{ env: Setting[] }] } };
    };
  };
  type Setting = { name: string; value: string };
  const pool = Number(await inPlace('configmap/odoo-fleet', '-o', 'jsonpath={.data.DATABASE_POOL_MAX}'));
  const { items } = JSON.parse(await inPlace('ksvc', '-o', 'json')) as { items: Service[] };
  const podsOf = ({ spec: { template } }: Service): number =>
    Number(template.metadata.annotations['autoscaling.knative.dev/max-scale']);
  const connectionsOf = (service: Service): number => {
    const own = service.spec.template.spec.containers[0].env.find(({ name }) => name === 'DATABASE_POOL_MAX')?.value;
    return podsOf(service) * Number(own ?? pool);
  };
  const terminates = items.filter(({ metadata }) => metadata.name === 'terminate');
  return {
    pods: terminates.map(podsOf)[0] ?? 0,
    ofTerminate: terminates.map(connectionsOf)[0] ?? 0,
    ofAll: items.map(connectionsOf).reduce((sum, one) => sum + one, 0),
  };
}

/** Looks every second which pods of the function have done steps since the first look. */
function watchPods(fleet: FleetUnderTest) {
  const first = new Map<string, number>();
  const busy = new Set<string>();
  let isFirst = true;
  let atOnce = 0;
  const look = async () => {
    const pods = await podsOfFunction(fleet, 'terminate');
    atOnce = Math.max(atOnce, pods.length);
    for (const { metadata, status } of pods) {
      // A pod may be gone meanwhile.
      const { body = '' } = await fleet.fromPod(`http://${status.podIP}:8080/metrics`, { timeoutMs: 5_000 });
      const found = body.matchAll(/^fleet_step_duration_seconds_count\{.*\} (\d+)$/gm);
      const steps = [...found].reduce((sum, [, count]) => sum + Number(count), 0);
      if (isFirst) first.set(metadata.name, steps);
      else if (steps > (first.get(metadata.name) ?? 0)) busy.add(metadata.name);
    }
    isFirst = false;
  };
  return { seen: () => ({ busy: busy.size, atOnce }), stop: repeat(look, 1_000) };
}

/** Does it again and again until it is told to stop. */
function repeat(work: () => Promise<void>, everyMs: number): () => Promise<void> {
  let isOver = false;
  const going = (async () => {
    for (; !isOver; await pause(everyMs)) await work();
  })();
  // Whoever stops it hears of it.
  going.catch(() => undefined);
  return async () => {
    isOver = true;
    await going;
  };
}

/** Looks at PgBouncer, many times a second, for the most connections that functions had at once. */
async function watchConnections({ servers: { bouncer } }: FleetUnderTest) {
  const { host, port, adminUser: user, adminPassword: password } = bouncer;
  const client = new Client({ host, port, user, password, database: 'pgbouncer' });
  client.on('error', () => undefined); // the query that meets it reports it
  await client.connect();
  const most: Connections = { ofTerminate: 0, ofAll: 0 };
  const begunAt = Date.now();
  const look = async () => {
    type Row = { database: string; application_name: string; request_time: string };
    const { rows } = await client.query<Row>('SHOW CLIENTS');
    // Not those of whoever watches the records from outside.
    const all = rows.filter(({ database, application_name: name }) => database === 'platform' && name !== 'sandbox');
    // A pod that is on its way out keeps for half a minute what it no longer uses. It is counted in the sum of all only.
    const isUsed = ({ request_time: at }: Row) => Date.parse(at) >= begunAt;
    const ofTerminate = all.filter((row) => row.application_name.includes('terminate') && isUsed(row));
    most.ofAll = Math.max(most.ofAll, all.length);
    most.ofTerminate = Math.max(most.ofTerminate, ofTerminate.length);
  };
  const stop = repeat(look, 50);
  return {
    most: () => most,
    async stop() {
      await stop();
      await client.end();
    },
  };
}
