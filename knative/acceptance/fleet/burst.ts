import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import { podNamesOf, podsOfFunction } from './pods.fixture.ts';
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
    const { atOnce, inAll } = pods.seen();
    const counts = `${atOnce} of ${budget.pods} pods at once, ${inAll} with those on their way out`;
    const bounds = `of ${inAll * budget.ofPod} and ${budget.ofAll}`;
    process.stderr.write(`burst: ${counts}, at most ${ofTerminate} and ${ofAll} connections ${bounds}\n`);
    expect(atOnce).toBeLessThanOrEqual(budget.pods);
    expect(ofTerminate).toBeGreaterThan(0);
    // A pod on its way out keeps its connections for half a minute after another one may have begun.
    expect(ofTerminate).toBeLessThanOrEqual(inAll * budget.ofPod);
    expect(ofAll).toBeLessThanOrEqual(budget.ofAll);
    const operations = await terminationsOf(fleet(), ids);
    expect(new Set(operations.map(({ instance_id }) => instance_id)).size).toBe(burstSize);
    expect(operations).toHaveLength(burstSize);
    expect(await notToldOnce(fleet(), ids)).toEqual([]);
    expect(await statusesOf(fleet(), ids)).toEqual(['terminated']);
  }, 300_000);
}

type Connections = { ofTerminate: number; ofAll: number };

/** What the deployed objects allow: pods of `terminate`, connections of one of them, and those of all functions. */
type Budget = { pods: number; ofPod: number; ofAll: number };

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
  const poolOf = ({ spec: { template } }: Service): number =>
    Number(template.spec.containers[0].env.find(({ name }) => name === 'DATABASE_POOL_MAX')?.value ?? pool);
  const terminates = items.filter(({ metadata }) => metadata.name === 'terminate');
  return {
    pods: terminates.map(podsOf)[0] ?? 0,
    ofPod: terminates.map(poolOf)[0] ?? 0,
    ofAll: items.reduce((sum, service) => sum + podsOf(service) * poolOf(service), 0),
  };
}

/** Looks every second which pods of the function there are, and which have done steps since the first look. */
function watchPods(fleet: FleetUnderTest) {
  const first = new Map<string, number>();
  const busy = new Set<string>();
  const names = new Set<string>();
  let isFirst = true;
  let atOnce = 0;
  const look = async () => {
    for (const name of await podNamesOf(fleet, 'terminate')) names.add(name);
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
  return { seen: () => ({ busy: busy.size, atOnce, inAll: names.size }), stop: repeat(look, 1_000) };
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

/**
 * Looks at PgBouncer for the most connections that functions kept at once. One counts when it was there at the look before:
 * where a pool replaces a connection, PgBouncer may see the new one before the end of the old one.
 */
async function watchConnections({ servers: { bouncer } }: FleetUnderTest) {
  const { host, port, adminUser: user, adminPassword: password } = bouncer;
  const client = new Client({ host, port, user, password, database: 'pgbouncer' });
  client.on('error', () => undefined); // the query that meets it reports it
  await client.connect();
  const most: Connections = { ofTerminate: 0, ofAll: 0 };
  let before = new Set<string>();
  const look = async () => {
    type Row = { database: string; application_name: string; ptr: string; connect_time: string };
    const { rows } = await client.query<Row>('SHOW CLIENTS');
    // Not those of whoever watches the records from outside.
    const all = rows.filter(({ database, application_name: name }) => database === 'platform' && name !== 'sandbox');
    const idOf = ({ ptr, connect_time: at }: Row) => `${ptr} ${at}`;
    const kept = all.filter((row) => before.has(idOf(row)));
    before = new Set(all.map(idOf));
    const ofTerminate = kept.filter(({ application_name: name }) => name.includes('terminate'));
    most.ofAll = Math.max(most.ofAll, kept.length);
    most.ofTerminate = Math.max(most.ofTerminate, ofTerminate.length);
  };
  const stop = repeat(look, 250);
  return {
    most: () => most,
    async stop() {
      await stop();
      await client.end();
    },
  };
}
