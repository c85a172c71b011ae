import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { type Kind, pathOf } from '#shared/adapters/kubernetes/kinds.ts';
import { shardOf } from '#shared/adapters/kubernetes/resources/labels.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { type TestFleet, until } from './fleet.ts';
import { queryAsSuperuser } from './fleet-traces.ts';
import { instanceSeen, lifeRequest, operationsOf, outcomeOf } from './life.ts';
import { expectAsBefore, expectUntouched, worldOf } from './world.ts';

// What tests of drift do by hand on a whole fleet, and how they look at what came of it.

export type Editable = Record<string, unknown> & { metadata: { labels: Record<string, string> } };

/** An object of the tenants' namespace; undefined when there is none. */
export async function objectOf<T extends object = Editable>(
  fleet: TestFleet,
  kind: Kind,
  name: string,
): Promise<T | undefined> {
  const { status, body } = await fleet.cluster.request('GET', pathOf({ kind, namespace: tenantNamespace, name }));
  if (status === 404) return undefined;
  if (status !== 200) throw new Error(`${kind.kind} ${name} was answered ${status}.`);
  return body as T;
}

/** Writes an object as `edit` leaves it, as with `kubectl edit`. */
export async function editByHand<Thing extends object>(
  fleet: TestFleet,
  object: { kind: Kind; name: string },
  edit: (object: Thing) => void,
): Promise<void> {
  const { kind, name } = object;
  await until(`${kind.kind} ${name} to take the edit`, async () => {
    const there = await objectOf<Thing>(fleet, kind, name);
    if (there === undefined) throw new Error(`There is no ${kind.kind} ${name}.`);
    edit(there);
    const path = pathOf({ kind, namespace: tenantNamespace, name });
    const { status, body } = await fleet.cluster.request('PUT', path, { body: there });
    // somebody wrote its status meanwhile
    if (status !== 200 && status !== 409) throw new Error(`PUT ${path}: ${status} ${JSON.stringify(body)}`);
    return status === 200;
  });
}

export async function createByHand(fleet: TestFleet, kind: Kind, object: object): Promise<void> {
  const path = pathOf({ kind, namespace: tenantNamespace });
  const body = { apiVersion: kind.apiVersion, kind: kind.kind, ...object };
  const answer = await fleet.cluster.request('POST', path, { body });
  if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

export async function deleteByHand(fleet: TestFleet, kind: Kind, name: string): Promise<void> {
  const path = pathOf({ kind, namespace: tenantNamespace, name });
  const { status } = await fleet.cluster.request('DELETE', path);
  if (status >= 300) throw new Error(`DELETE ${path}: ${status}`);
  await until(`${kind.kind} ${name} to be gone`, async () => (await objectOf(fleet, kind, name)) === undefined);
}

/** A statement on the Odoo server, as its superuser. */
export async function onServer<Row extends object>(fleet: TestFleet, text: string, database = 'postgres') {
  return await queryAsSuperuser<Row>(fleet.servers.odoo, text, { database });
}

/** Has the next tick look at this shard, `fleet` or the one an instance is in; resolves when it has. */
export async function lookAgain(fleet: TestFleet, where: { shard: string } | { instance: string }): Promise<void> {
  const shard = 'shard' in where ? where.shard : shardOf(where.instance);
  // Not while a look is at work: it began before what it is to see.
  const asked = await until(`shard ${shard} to be free`, async () => {
    const text = `update reconcile_shards set due_at = clock_timestamp() - interval '1 day'
      where shard = $1 and (holder is null or until < clock_timestamp()) returning clock_timestamp() as at`;
    return (await fleet.rows<{ at: Date }>(text, [shard]))[0]?.at;
  });
  await until(`shard ${shard} to be looked at`, async () => {
    const text = 'select 1 from reconcile_shards where shard = $1 and passed_at > $2';
    return (await fleet.rows(text, [shard, asked])).length > 0;
  });
}

export type FindingSeen = { kind: string; subject: string; place: string; detail: string; repairs: number };

/** Open findings about an instance, or about a subject that is none. */
export async function openFindings(fleet: TestFleet, about: string): Promise<FindingSeen[]> {
  return await fleet.rows<FindingSeen>(
    `select kind, subject, place, detail, repairs from findings
     where resolved_at is null and (instance_id = $1 or subject = $1) order by kind, subject`,
    [about],
  );
}

export async function repairsOf(fleet: TestFleet, instanceId: string) {
  return (await operationsOf(fleet, instanceId)).filter(({ kind }) => kind === 'repair');
}

/** Waits until an instance's operations have all ended, in whatever way. */
export async function atRest(fleet: TestFleet, instanceId: string): Promise<void> {
  await until(`the operations of ${instanceId} to end`, async () =>
    (await operationsOf(fleet, instanceId)).every(({ state }) => ['succeeded', 'failed', 'cancelled'].includes(state)),
  );
}

/** As if nothing had ever been found: a trouble that comes back within a day waits longer for its repair. */
export async function forgetFindings(fleet: TestFleet): Promise<void> {
  await fleet.rows('delete from findings returning kind');
}

export type Mending = {
  instance: string;
  /** Kinds that are found, sorted. */
  finds: readonly string[];
  drift: () => Promise<unknown>;
  /** Objects, databases or roles that are made anew, as `worldOf` names them. */
  madeAnew?: readonly string[];
};

/**
 * Makes the drift, has it found, and expects: a finding of each kind, one operation `repair` that succeeds, nothing
 * found afterwards, the instance as it was, and nothing else touched.
 */
export async function expectMended(fleet: TestFleet, mending: Mending): Promise<void> {
  const { instance, finds, drift, madeAnew = [] } = mending;
  await nothingGoesOn(fleet);
  await forgetFindings(fleet);
  const before = await worldOf(fleet);
  const repairs = (await repairsOf(fleet, instance)).length;
  const falls = await fallsOf(fleet, instance);
  await drift();
  await lookAgain(fleet, { instance });
  const found = await everFound(fleet, instance);
  // the cluster tells of what does not run any more, before the look or after it
  const follows = (await fallsOf(fleet, instance)) > falls ? found.filter((kind) => kind === 'unsettled') : [];
  expect(found.sort()).toEqual([...finds, ...follows].sort());
  await until('the repair', async () => (await repairsOf(fleet, instance)).length > repairs);
  await nothingGoesOn(fleet);
  const made = (await repairsOf(fleet, instance)).slice(repairs);
  expect(made.map(({ state, error_text }) => ({ state, error_text }))).toEqual([
    { state: 'succeeded', error_text: null },
  ]);
  const row = `row ${instance}`;
  await until('the status of before', async () => {
    const { status } = await instanceSeen(fleet, instance);
    return status === (before[row] as { status: string }).status;
  });
  await lookAgain(fleet, { instance });
  expect(await openFindings(fleet, instance)).toEqual([]);
  const after = await worldOf(fleet);
  expectUntouched(before, after, { but: [instance] });
  expectAsBefore(before, after, { instance, madeAnew });
}

/** How often its status was told to have become an error. */
async function fallsOf(fleet: TestFleet, instanceId: string): Promise<number> {
  const text = `select 1 from outbox where subject = $1 and type like '%.status.changed' and data ->> 'to' = 'error'`;
  return (await fleet.rows(text, [instanceId])).length;
}

async function everFound(fleet: TestFleet, instanceId: string): Promise<string[]> {
  const rows = await fleet.rows<{ kind: string }>('select kind from findings where instance_id = $1', [instanceId]);
  return rows.map(({ kind }) => kind);
}

/**
 * Waits until nothing is under way that was set off before: operations, events that are to be published, and deliveries,
 * which may ask for more of both.
 */
export async function nothingGoesOn(fleet: TestFleet): Promise<void> {
  await until('nothing to be under way', async () => {
    const before = await underWay(fleet);
    if (before.unfinished > 0) return false;
    await fleet.broker.idle();
    return isDeepStrictEqual(await underWay(fleet), before);
  });
}

async function underWay(fleet: TestFleet) {
  const text = `select (select count(*)::integer from operations where state in ('queued', 'running', 'waiting'))
      + (select count(*)::integer from outbox where published_at is null) as unfinished,
    (select count(*) from operations) as asked, (select max(sequence) from outbox) as told`;
  const [row] = await fleet.rows<{ unfinished: number; asked: string; told: string | null }>(text);
  if (row === undefined) throw new Error('The records gave no row.');
  return row;
}

/** Makes the drift, has it found twice, and expects its finding, no operation, and that nothing at all is touched. */
export async function expectReported(
  fleet: TestFleet,
  report: { about: string; finds: readonly string[]; drift: () => Promise<unknown>; shard: string },
): Promise<FindingSeen[]> {
  const { about, finds, drift, shard } = report;
  await nothingGoesOn(fleet);
  await forgetFindings(fleet);
  await drift();
  const before = await worldOf(fleet);
  const operations = await fleet.rows('select id from operations order by id');
  await lookAgain(fleet, { shard });
  const found = await openFindings(fleet, about);
  expect(found.map(({ kind }) => kind).sort()).toEqual([...finds].sort());
  await lookAgain(fleet, { shard });
  expect(await openFindings(fleet, about)).toEqual(found);
  await fleet.broker.idle();
  const asked = await fleet.rows(
    `select 1 from outbox where type = 'dev.odoofleet.instance.repair.requested' and published_at is null`,
  );
  expect(asked).toEqual([]);
  expect(await fleet.rows('select id from operations order by id')).toEqual(operations);
  expectUntouched(before, await worldOf(fleet), { but: [] });
  return found;
}

/** Asks for a repair by hand and gives what it failed with. @throws Error when it ends well. */
export async function failedRepair(fleet: TestFleet, instanceId: string) {
  const event = lifeRequest('repair', instanceId);
  await fleet.publish(event);
  expect(await outcomeOf(fleet, event)).toBe('accepted');
  await atRest(fleet, instanceId);
  const repair = (await repairsOf(fleet, instanceId)).at(-1);
  if (repair?.state !== 'failed') throw new Error(`the repair is ${repair?.state}`);
  return repair;
}
