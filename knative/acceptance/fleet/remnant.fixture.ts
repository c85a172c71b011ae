import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { until } from '../cluster.fixture.ts';
import { type FleetUnderTest, publisher, toBroker } from './fleet.fixture.ts';
import { tenantNamespace } from './instance.fixture.ts';

// Instances that cost nothing, for tests that need many: their provisioning has failed before anything of them was made, and
// what is left is to terminate them.

/** Writes down as many of them as stated, placed on the Odoo server, and returns their ids. */
export async function makeRemnants(fleet: FleetUnderTest, prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
  const ids = names.map((name) => deriveInstanceId(publisher, name));
  await fleet.records.transaction(async (transaction) => {
    await transaction.query('insert into customers (id, quota) values ($1, $2)', [prefix, count]);
    await transaction.query(
      `update db_servers set max_instances = max_instances + $1, instance_count = instance_count + $1 where id = 'odoo-1'`,
      [count],
    );
    await transaction.query(
      `insert into instances (id, customer_id, name, host, cluster_id, plan_id, image_id, db_server_id, admin_login, status)
       select id, $1, name, name || '.localhost', 'default', 'small', 'odoo-19', 'odoo-1', 'owner@acme.example', 'error'
       from unnest($2::text[], $3::text[]) as made (id, name)`,
      [prefix, ids, names],
    );
  });
  return ids;
}

/**
 * Keeps a termination in the middle: it waits until the instance has no pod, and this one is never given to a node. An
 * ended wait is `release`d.
 */
export async function holdWithPods(fleet: FleetUnderTest, ids: readonly string[]): Promise<void> {
  await fleet.kubectl.apply(ids.map(neverScheduled));
}

export async function release(fleet: FleetUnderTest, ids: readonly string[]): Promise<void> {
  await fleet.kubectl.run(['-n', tenantNamespace, 'delete', 'pod', ...ids.map(podName), '--grace-period=0', '--force']);
}

const podName = (id: string) => `held-${id}`;

function neverScheduled(id: string): object {
  const metadata = { name: podName(id), namespace: tenantNamespace, labels: { 'odoofleet.dev/instance': id } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: {
      schedulerName: 'nobody',
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 10_001, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'held',
          image: 'none',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}

/** How the terminations of instances stand, one row for each of their operations. */
export type Termination = {
  id: string;
  instance_id: string;
  state: string;
  step: string | null;
  definition_version: number;
  fence: number;
  error_text: string | null;
};

export function terminationsOf(fleet: FleetUnderTest, ids: readonly string[]): Promise<Termination[]> {
  return fleet.rows<Termination>(
    `select id, instance_id, state, step, definition_version, fence, error_text from operations
     where instance_id = any($1) order by created_at`,
    [ids],
  );
}

/** Waits until each of the instances has had its termination. @throws Error at once when one failed. */
export async function untilTerminated(fleet: FleetUnderTest, ids: readonly string[]): Promise<void> {
  const areOver = async () => {
    const all = await terminationsOf(fleet, ids);
    const failed = all.find(({ state }) => state === 'failed' || state === 'cancelled');
    if (failed !== undefined)
      throw new Error(`${failed.id} has ${failed.state} in ${failed.step}: ${failed.error_text}`);
    return all.filter(({ state }) => state === 'succeeded').length >= ids.length;
  };
  await until(`${ids.length} terminations`, areOver, { limitMs: 180_000 });
}

/** Waits until each termination stands where `holdWithPods` keeps it. */
export async function untilHeld(fleet: FleetUnderTest, ids: readonly string[]): Promise<void> {
  const areHeld = async () => {
    const held = (await terminationsOf(fleet, ids)).filter(({ step }) => step === 'gone');
    return held.length === ids.length;
  };
  await until(`${ids.length} terminations to wait for pods`, areHeld, { limitMs: 120_000 });
}

/** Asks for the termination of each: all at once, or one after the other with a pause between. */
export async function terminate(
  fleet: FleetUnderTest,
  ids: readonly string[],
  { everyMs = 0 }: { everyMs?: number } = {},
): Promise<void> {
  const requests: Promise<unknown>[] = [];
  for (const id of ids) {
    requests.push(fleet.request('terminate', id));
    if (everyMs > 0) await pause(everyMs);
  }
  await Promise.all(requests);
}

/** A person's `retry` of an operation. */
export async function retry(fleet: FleetUnderTest, { id, instance_id }: Termination): Promise<void> {
  const type = 'dev.odoofleet.operation.retry';
  const data = { operation: id, instance: instance_id, kind: 'terminate', reason: 'rolled back' };
  const attributes = { 'ce-specversion': '1.0', 'ce-id': randomUUID(), 'ce-type': type, 'ce-source': publisher };
  const about = {
    'ce-subject': instance_id,
    'ce-opkind': 'terminate',
    'ce-operationid': id,
    'ce-partitionkey': instance_id,
  };
  const headers = { ...attributes, ...about, 'content-type': 'application/json' };
  await toBroker(fleet, { headers, body: JSON.stringify(data) });
}

/** What was told to others of operations: how often each event was, by type, if not once of each operation. */
export async function notToldOnce(fleet: FleetUnderTest, ids: readonly string[]): Promise<object[]> {
  return await fleet.rows(
    `select o.id, type, (select count(*) from outbox e where e.type = t.type and e.data ->> 'operation' = o.id::text)::integer as times
     from operations o, unnest($2::text[]) as t (type)
     where o.instance_id = any($1)
       and (select count(*) from outbox e where e.type = t.type and e.data ->> 'operation' = o.id::text) <> 1`,
    [ids, ['dev.odoofleet.instance.terminate.accepted', 'dev.odoofleet.instance.terminate.succeeded']],
  );
}

/** Statuses of instances, without repeats. */
export async function statusesOf(fleet: FleetUnderTest, ids: readonly string[]): Promise<string[]> {
  const text = 'select distinct status from instances where id = any($1)';
  return (await fleet.rows<{ status: string }>(text, [ids])).map(({ status }) => status);
}
