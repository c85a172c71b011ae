import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, it } from 'vitest';
import type { FleetUnderTest } from './fleet.fixture.ts';
import { podsOfFunction } from './pods.fixture.ts';
import {
  makeRemnants,
  notToldOnce,
  statusesOf,
  terminate,
  terminationsOf,
  untilTerminated,
} from './remnant.fixture.ts';

const burstSize = 50;

/** More at once than one pod takes. */
export function burstTests(fleet: () => FleetUnderTest): void {
  it('scales a function out for fifty events at once, within its connections, and does each once', async () => {
    const ids = await makeRemnants(fleet(), 'burst', burstSize);
    const budget = await connectionBudget(fleet());
    const before = await endedByPod(fleet());
    const watch = await watchConnections(fleet());
    try {
      await terminate(fleet(), ids);
      await untilTerminated(fleet(), ids);
    } finally {
      await watch.stop();
    }
    const after = await endedByPod(fleet());
    const shares = [...after].map(([pod, count]) => count - (before.get(pod) ?? 0)).filter((count) => count > 0);
    const { ofTerminate, ofAll } = watch.most();
    const bounds = `of ${budget.ofTerminate} and ${budget.ofAll}`;
    process.stderr.write(
      `burst: pods did ${shares.join(' + ')}; connections at most ${ofTerminate} and ${ofAll} ${bounds}\n`,
    );
    expect(shares.length).toBeGreaterThan(1);
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

/** What the deployed objects allow: each function at its max-scale with a full pool. */
async function connectionBudget({ kubectl }: FleetUnderTest): Promise<Connections> {
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
  const connectionsOf = ({ spec: { template } }: Service): number => {
    const own = template.spec.containers[0].env.find(({ name }) => name === 'DATABASE_POOL_MAX')?.value;
    return Number(template.metadata.annotations['autoscaling.knative.dev/max-scale']) * Number(own ?? pool);
  };
  const ofTerminate = items.filter(({ metadata }) => metadata.name === 'terminate').map(connectionsOf);
  return { ofTerminate: ofTerminate[0] ?? 0, ofAll: items.map(connectionsOf).reduce((sum, one) => sum + one, 0) };
}

/** How many operations each pod of the function has brought to a good end, by its name. */
async function endedByPod(fleet: FleetUnderTest): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { metadata, status } of await podsOfFunction(fleet, 'terminate')) {
    const { body = '' } = await fleet.fromPod(`http://${status.podIP}:8080/metrics`, { timeoutMs: 5_000 });
    const found = [...body.matchAll(/^fleet_operation_duration_seconds_count\{[^}]*"succeeded"[^}]*\} (\d+)/gm)];
    counts.set(
      metadata.name,
      found.reduce((sum, [, count]) => sum + Number(count), 0),
    );
  }
  return counts;
}

/** Looks at PgBouncer, many times a second, for the most connections that functions had at once. */
async function watchConnections({ servers: { bouncer } }: FleetUnderTest) {
  const { host, port, adminUser: user, adminPassword: password } = bouncer;
  const client = new Client({ host, port, user, password, database: 'pgbouncer' });
  client.on('error', () => undefined); // the query that meets it reports it
  await client.connect();
  const most: Connections = { ofTerminate: 0, ofAll: 0 };
  let isOver = false;
  const look = async () => {
    while (!isOver) {
      type Row = { database: string; application_name: string };
      const { rows } = await client.query<Row>('SHOW CLIENTS');
      // Not those of whoever watches the records from outside.
      const names = rows.flatMap(({ database, application_name: name }) =>
        database === 'platform' && name !== 'sandbox' ? [name] : [],
      );
      most.ofAll = Math.max(most.ofAll, names.length);
      most.ofTerminate = Math.max(most.ofTerminate, names.filter((name) => name.includes('terminate')).length);
      await pause(50);
    }
  };
  const looking = look();
  return {
    most: () => most,
    async stop() {
      isOver = true;
      await looking.finally(() => client.end());
    },
  };
}
