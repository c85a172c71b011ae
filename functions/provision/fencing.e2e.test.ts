import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestFor, runUndisturbed } from '#scripts/test/crash/case.ts';
import { takeLeftovers } from '#scripts/test/crash/compare.ts';
import { type EndState, endStateOf, loginsOf } from '#scripts/test/crash/end-state.ts';
import type { Passed } from '#scripts/test/crash/gateway.ts';
import { type StoppedHolder, startStopping, stopBefore } from '#scripts/test/crash/holders.ts';
import { newInstanceId, startWorld, type World } from '#scripts/test/crash/world.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { until, untilWarm } from '#shared/testing/fleet.ts';
import type { PassedPoint } from '#shared/testing/stop-points/counter.ts';

let world: World;
let undisturbed: EndState;
beforeAll(async () => {
  world = await startWorld({ warmTarget: 4 });
  await untilWarm(world.fleet);
  undisturbed = (await runUndisturbed(world)).endState;
  // whoever takes over is to be there: the one that stands still gives up its statement after 8 s
  await fetch(`${world.fleet.functions.url('provision')}/readyz`);
});
afterAll(() => world?.end());

/** Another process takes over and finishes while the first one stands still; then the first one goes on. */
async function overtake(holder: StoppedHolder) {
  await world.fleet.operationIn('succeeded', holder.instanceId);
  const left = await endStateOf(world.fleet, holder.instanceId);
  const { points, answers } = await holder.goOn();
  return { left, points, answers };
}

/** The same, but it goes on as soon as another has taken over: a statement that is not answered within seconds is given up. */
async function overtakeAtOnce(holder: StoppedHolder) {
  const { fleet } = world;
  const seen = async () => {
    const text = 'select fence, state from operations where instance_id = $1';
    const [row] = await fleet.rows<{ fence: number; state: string }>(text, [holder.instanceId]);
    return row;
  };
  const before = Number((await seen())?.fence);
  const isTakenOver = async () => {
    const row = await seen();
    return Number(row?.fence) > before || row?.state === 'succeeded';
  };
  await until('another process to take over', isTakenOver, { everyMs: 20 });
  const { points, answers } = await holder.goOn();
  await fleet.operationIn('succeeded', holder.instanceId);
  return { left: await endStateOf(fleet, holder.instanceId), points, answers };
}

async function untilPublished(instanceId: string): Promise<void> {
  const text = `select 1 from outbox where data ->> 'instance' = $1 and published_at is null`;
  const isPublished = async () => (await world.fleet.rows(text, [instanceId])).length === 0;
  await until('the events to be published', isPublished);
}

/** All that was at work in the overtaken process has stood back. */
function expectStoodBack(instanceId: string, answers: readonly Passed[], outcomes: readonly string[] = ['fenced']) {
  const { passed } = world.gateway.passageOf(instanceId);
  const others = answers.filter(({ status, outcome }) => status !== 204 || !outcomes.includes(outcome));
  expect({ others, passed }).toEqual({ others: [], passed });
  expect({ count: answers.length, passed }).not.toEqual({ count: 0, passed });
}

/** The overtaken one changed nothing, stood back, and the instance works. */
async function expectUnharmed(
  instanceId: string,
  { left, answers }: Awaited<ReturnType<typeof overtake>>,
  outcomes?: readonly string[],
) {
  expectStoodBack(instanceId, answers, outcomes);
  await untilPublished(instanceId);
  const now = await endStateOf(world.fleet, instanceId);
  expect({ ...now, outbox: undisturbed['outbox'] }).toEqual({ ...left, outbox: undisturbed['outbox'] });
  expect(now).toEqual(undisturbed);
  expect(await loginsOf(world.fleet, instanceId)).toEqual({ right: true, standard: false });
  expect(await takeLeftovers(world)).toEqual([]);
}

const detailsOf = (points: readonly PassedPoint[], name: string) =>
  points.filter((point) => point.name === `${name} answered`).map(({ detail }) => detail);

/** Without tries whose time ran out while the process stood still: such a call is sent once more while there is time. */
const answersTo = (points: readonly PassedPoint[], name: string) =>
  detailsOf(points, name).flatMap((detail = '') => (detail.startsWith('error ') ? [] : [detail]));

/** The third transaction places the instance on a server, unless a busy machine had one of those before it tried again. */
async function stopBeforePlacing(): Promise<StoppedHolder> {
  for (let tries = 1; tries <= 3; tries++) {
    const holder = await stopBefore(world, 'platform: BEGIN + SELECT', 3);
    const [row] = await world.fleet.rows<{ step: string | null }>(
      'select step from operations where instance_id = $1',
      [holder.instanceId],
    );
    if (row?.step === 'place') return holder;
    await holder.goOn();
    await world.fleet.operationIn('succeeded', holder.instanceId);
  }
  throw new Error('no process has stopped before it placed its instance');
}

const beginStep = 'platform: UPDATE operations, UPDATE operation_steps, INSERT operation_steps';

test('the platform refuses the next step of a holder that was overtaken', async () => {
  const holder = await stopBefore(world, beginStep, 3);
  const went = await overtakeAtOnce(holder);
  // The statement reached the server and matched no row.
  expect(detailsOf(went.points, beginStep)).toEqual(['rows 0']);
  await expectUnharmed(holder.instanceId, went);
});

test('the platform refuses a transaction of a holder that was overtaken', async () => {
  const holder = await stopBeforePlacing();
  const went = await overtakeAtOnce(holder);
  expect(detailsOf(went.points, 'platform: SELECT operations')[0]).toBe('rows 0');
  expect(went.points.filter(({ name }) => name.includes('UPDATE db_servers'))).toEqual([]);
  await expectUnharmed(holder.instanceId, went);
});

test('the platform ends a transaction whose holder stands still in it', async () => {
  const holder = await stopBefore(world, 'platform: UPDATE db_servers, UPDATE instances');
  const went = await overtake(holder);
  expect(detailsOf(went.points, 'platform: UPDATE db_servers, UPDATE instances')).toEqual([
    expect.stringMatching(/^error /),
  ]);
  await expectUnharmed(holder.instanceId, went);
});

test('the Odoo server refuses a holder below the fence', async () => {
  // The second transaction under the fence claims a database.
  const holder = await stopBefore(world, 'fleet_control: BEGIN + INSERT fence', 2);
  const went = await overtake(holder);
  expect(detailsOf(went.points, 'fleet_control: BEGIN + INSERT fence')).toEqual([expect.stringMatching(/^rows .* 0$/)]);
  await expectUnharmed(holder.instanceId, went);
});

test('the Odoo server has ended the session of a holder that stood still under the fence', async () => {
  const holder = await stopBefore(world, 'fleet_control: SAVEPOINT + ALTER DATABASE');
  const went = await overtake(holder);
  expect(detailsOf(went.points, 'fleet_control: SAVEPOINT + ALTER DATABASE')).toEqual([
    expect.stringMatching(/^error /),
  ]);
  await expectUnharmed(holder.instanceId, went);
});

test("the Odoo server has ended the session inside a tenant's database, right before its commit", async () => {
  const holder = await stopBefore(world, 'odoo_*: COMMIT');
  const went = await overtake(holder);
  expect(detailsOf(went.points, 'odoo_*: COMMIT')).toEqual([expect.stringMatching(/^error /)]);
  await expectUnharmed(holder.instanceId, went);
});

test('the Kubernetes API refuses to create what the newer holder created', async () => {
  const holder = await stopBefore(world, 'POST deployments');
  const went = await overtake(holder);
  expect(answersTo(went.points, 'POST deployments')).toEqual(['status 409']);
  await expectUnharmed(holder.instanceId, went);
});

test('the Kubernetes API refuses to change what has changed since it was looked at', async () => {
  const instanceId = newInstanceId();
  const first = await startStopping(world, instanceId, { name: 'POST deployments answered', occurrence: 1 });
  const second = await startStopping(world, instanceId, { name: 'PATCH deployments before', occurrence: 1 });
  const passage = world.gateway.passageOf(instanceId);
  passage.port = first.victim.port;
  await world.fleet.publish(requestFor(instanceId));
  await first.stands();
  // Nobody takes over before the next one would find the Deployment other than it is wanted.
  passage.port = first.victim.port;
  const path = `/apis/apps/v1/namespaces/${tenantNamespace}/deployments/odoo-${instanceId}`;
  const body = { metadata: { annotations: { 'odoofleet.dev/desired': 'another' } } };
  const contentType = 'application/merge-patch+json';
  expect((await world.fleet.cluster.request('PATCH', path, { body, contentType })).status).toBe(200);
  passage.port = second.victim.port;
  await first.victim.process.stop({ signal: 'SIGKILL' });
  const holder = await second.stands();
  if (holder === undefined) throw new Error('the second process does not stand still');
  const went = await overtake(holder);
  expect(answersTo(went.points, 'PATCH deployments')).toEqual(['status 409']);
  // It was woken by the tick, or by the event that the first process did not answer.
  await expectUnharmed(instanceId, went, ['fenced', 'duplicate']);
});

test.each(['secrets', 'persistentvolumeclaims', 'deployments', 'ingresses'])(
  'a holder that creates %s after others have undone everything takes it back',
  async (resource) => {
    const holder = await stopBefore(world, `POST ${resource}`);
    const { fleet } = world;
    await fleet.command('cancel', holder.instanceId);
    await fleet.operationIn('cancelled', holder.instanceId);
    await untilPublished(holder.instanceId);
    const undone = await endStateOf(fleet, holder.instanceId);
    expect(undone).toMatchObject({ databases: [], roles: [], objects: [] });
    const { points, answers } = await holder.goOn();
    // The API server keeps nothing of what is gone, so it cannot refuse this one. A try whose time ran out while the
    // process stood still is sent all the same; the next one then finds its object.
    expect(answersTo(points, `POST ${resource}`)).toEqual([expect.stringMatching(/^status (201|409)$/)]);
    expect(detailsOf(points, `DELETE ${resource}`)).toContain('status 200');
    expectStoodBack(holder.instanceId, answers);
    expect(await endStateOf(fleet, holder.instanceId)).toEqual(undone);
    expect(await takeLeftovers(world)).toEqual([]);
  },
);
