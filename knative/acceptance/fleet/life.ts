import { beforeAll, expect, it } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import {
  answers,
  carryOut,
  functionNamespace,
  inDatabase,
  objectsOf,
  odooPodsOf,
  podsOf,
  routesOf,
  rowOf,
  tenantNamespace,
  visit,
} from './instance.fixture.ts';

const kept = 'Kept by all';
const partners = 'select name from res_partner where name = $1';

/** The life of one instance by events at the real Broker, and what the fleet hears of the cluster and of time. */
export function lifeTests(fleet: () => FleetUnderTest): void {
  let instance = '';
  const database = () => namesOf(instance).database;
  const ownService = () => [`/websocket odoo-${instance}:8069`, `/ odoo-${instance}:8069`];
  const odooPods = () => odooPodsOf(fleet(), instance);
  const keptPartners = () => inDatabase(fleet(), database(), partners, [kept]);

  beforeAll(async () => {
    instance = await fleet().provision('life', { customer: 'life' });
    expect(await fleet().settled(instance, { limitMs: 600_000 })).toBe('running');
    await inDatabase(fleet(), database(), 'insert into res_partner (name, active) values ($1, true)', [kept]);
  }, 700_000);

  it('suspends an instance: its host shows the suspension page, and Odoo is gone', async () => {
    expect(await carryOut(fleet(), 'suspend', instance, { cause: 'billing' })).toBe('suspended');
    const { host, behind } = await routesOf(fleet(), instance);
    expect(host).toBe('life.localhost');
    expect(behind).toEqual(['/websocket suspension-page:billing', '/ suspension-page:billing']);
    expect(await answers(fleet(), instance, 402)).toMatchObject({
      headers: { 'content-type': 'text/html; charset=utf-8', 'retry-after': '3600' },
    });
    const told = await visit(fleet(), instance, { path: '/jsonrpc', accept: 'application/json' });
    expect(told.status).toBe(402);
    expect(JSON.parse(told.body ?? '')).toMatchObject({ code: 'suspended', reason: 'billing' });
    expect(await odooPods()).toEqual([]);
  }, 200_000);

  it('resumes it with the data it had', async () => {
    expect(await carryOut(fleet(), 'resume', instance, { cause: 'billing' })).toBe('running');
    expect((await routesOf(fleet(), instance)).behind).toEqual(ownService());
    expect((await answers(fleet(), instance, 200)).body).toContain('name="login"');
    expect(await keptPartners()).toEqual([{ name: kept }]);
  }, 200_000);

  it('stops it and starts it again', async () => {
    expect(await carryOut(fleet(), 'stop', instance)).toBe('stopped');
    expect(await odooPods()).toEqual([]);
    expect((await routesOf(fleet(), instance)).behind).toEqual(ownService());
    // The address of a pod that has just gone does not always refuse: it may be silent.
    expect((await visit(fleet(), instance, { timeoutMs: 3_000 })).status).toBeUndefined();
    expect(await carryOut(fleet(), 'start', instance)).toBe('running');
    expect((await answers(fleet(), instance, 200)).body).toContain('name="login"');
    expect(await keptPartners()).toEqual([{ name: kept }]);
  }, 300_000);

  it('hears from the cluster that the pods of an instance fail, and that they are back', async () => {
    await withoutPasses(fleet(), instance, async (now) => {
      const [pod = ''] = await odooPods();
      await fleet().kubectl.run(['-n', tenantNamespace, 'delete', 'pod', pod, '--wait=false']);
      await heard(fleet(), 'update', { outcome: 'noted', since: now });
      const isBack = async () =>
        (await noteOf(fleet(), instance)) === undefined && (await isRunning(fleet(), instance));
      await until('the instance to be back', isBack, { limitMs: 120_000 });
    });
    await answers(fleet(), instance, 200);
  }, 200_000);

  it('hears from the cluster that a Deployment is gone, and makes it anew when it looks at the instance', async () => {
    const before = (await fleet().operationsOf(instance)).length;
    await withoutPasses(fleet(), instance, async (now) => {
      await fleet().kubectl.run(['-n', tenantNamespace, 'delete', `deployment/odoo-${instance}`, '--wait=false']);
      await heard(fleet(), 'delete', { outcome: 'noted', since: now });
      const isMissing = async () => (await rowOf(fleet(), instance)).status === 'missing';
      await until('the instance to be missing', isMissing, { limitMs: 60_000 });
      expect((await rowOf(fleet(), instance)).status_reason).toBe(`Deployment odoo-${instance} was deleted.`);
    });
    const options = { operationCount: before + 1, limitMs: 120_000 };
    expect(await fleet().settled(instance, options)).toBe('running');
    expect((await fleet().operationsOf(instance)).at(-1)).toMatchObject({ kind: 'repair', state: 'succeeded' });
    await answers(fleet(), instance, 200);
    expect(await keptPartners()).toEqual([{ name: kept }]);
  }, 300_000);

  it('goes on with operations when the cluster says that what they wait for is there', async () => {
    const [start] = await fleet().rows<{ id: string }>(
      `select id from operations where instance_id = $1 and kind = 'start' order by created_at limit 1`,
      [instance],
    );
    const woken = await fleet().rows(
      `select id from outbox where type = 'dev.odoofleet.operation.advance' and data ->> 'operation' = $1
       and data ->> 'reason' = $2`,
      [start?.id, `Deployment odoo-${instance} changed`],
    );
    expect(woken.length).toBeGreaterThan(0);
  });

  it('is told by ticks to look at its work and at the world', async () => {
    const first = await until('a tick', () => lastTick(fleet()), { limitMs: 60_000 });
    const shard = instance.slice(0, 1);
    const [due] = await fleet().rows<{ now: Date }>(
      'update reconcile_shards set due_at = clock_timestamp() where shard = $1 returning clock_timestamp() as now',
      [shard],
    );
    const passed = 'select from reconcile_shards where shard = $1 and passed_at > $2';
    const hasPassed = async () => (await fleet().rows(passed, [shard, due?.now])).length > 0;
    await until('a pass over a part of the fleet', hasPassed, { limitMs: 60_000 });
    const isLater = async () => ((await lastTick(fleet())) ?? 0) > first;
    await until('the tick to end', isLater, { limitMs: 60_000 });
  }, 200_000);

  it('terminates it: its objects are gone, its database is set aside, its host is free', async () => {
    expect(await carryOut(fleet(), 'terminate', instance)).toBe('terminated');
    expect(await objectsOf(fleet(), instance)).toEqual([
      `persistentvolumeclaim/odoo-${instance}`,
      `secret/odoo-${instance}-credentials`,
    ]);
    expect(await odooPods()).toEqual([]);
    expect((await rowOf(fleet(), instance)).host).toBeNull();
    const databases = await inDatabase(
      fleet(),
      'postgres',
      'select datname::text as name, datallowconn as open from pg_database where strpos(datname, $1) > 0',
      [instance],
    );
    expect(databases).toEqual([{ name: `tombstone_${instance}`, open: false }]);
    const { fromPod } = fleet();
    const service = `http://odoo-${instance}.${tenantNamespace}.svc.cluster.local:8069/web/login`;
    expect((await fromPod(service, { timeoutMs: 10_000 })).error).toMatch(/ENOTFOUND|EAI_AGAIN|ECONNREFUSED/);
  }, 200_000);
}

/** Keeps reconcile from looking at the instance meanwhile, so that what is seen was told by events; then it is its turn. */
async function withoutPasses(
  { rows }: FleetUnderTest,
  instanceId: string,
  work: (now: Date) => Promise<void>,
): Promise<void> {
  const shard = instanceId.slice(0, 1);
  const due = (when: string) =>
    rows<{ now: Date }>(
      `update reconcile_shards set due_at = clock_timestamp() + $2::interval where shard = $1 and holder is null
       returning clock_timestamp() as now`,
      [shard, when],
    );
  const [{ now } = {}] = await until(
    'nobody to look at the shard',
    async () => {
      const found = await due('1 hour');
      return found.length > 0 && found;
    },
    { limitMs: 60_000 },
  );
  if (now === undefined) throw new Error('a shard has no row');
  try {
    await work(now);
    const passed = await rows('select from reconcile_shards where shard = $1 and passed_at > $2', [shard, now]);
    expect(passed).toEqual([]);
  } finally {
    await due('0 seconds');
  }
}

/** An event of the cluster's own source came to the outcome. */
async function heard(
  { rows }: FleetUnderTest,
  what: 'add' | 'update' | 'delete',
  { outcome, since }: { outcome: string; since: Date },
): Promise<void> {
  const text = 'select id from inbox where type = $1 and outcome = $2 and received_at >= $3';
  const values = [`dev.knative.apiserver.resource.${what}`, outcome, since];
  await until(`the cluster to tell of ${what}`, async () => (await rows(text, values)).length > 0, { limitMs: 60_000 });
}

async function noteOf({ rows }: FleetUnderTest, instanceId: string): Promise<string | undefined> {
  return (await rows<{ what: string }>('select what from observations where instance_id = $1', [instanceId]))[0]?.what;
}

async function isRunning(fleet: FleetUnderTest, instanceId: string): Promise<boolean> {
  return (await rowOf(fleet, instanceId)).status === 'running';
}

/** When a pod of reconcile has ended an event of the PingSource last, in seconds; its own numbers say so. */
async function lastTick(fleet: FleetUnderTest): Promise<number | undefined> {
  const pods = await podsOf(fleet, functionNamespace, 'serving.knative.dev/service=reconcile');
  for (const pod of pods) {
    const path = `/api/v1/namespaces/${functionNamespace}/pods/${pod}:8080/proxy/metrics`;
    // One that is starting or ending does not answer.
    const text = await fleet.kubectl.run(['get', '--raw', path], { timeoutMs: 5_000 }).catch(() => '');
    const isPing = /^fleet_request_duration_seconds_count\{[^}]*type="dev\.knative\.sources\.ping"[^}]*status="204"/m;
    const last = Number(/^fleet_tick_last_end_timestamp_seconds\{[^}]*\} (\S+)$/m.exec(text)?.[1]);
    if (isPing.test(text) && last > 0) return last;
  }
  return undefined;
}
