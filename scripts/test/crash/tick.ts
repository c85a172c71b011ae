import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { ping } from '#events/knative/ping.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { rawEvent, until } from '#shared/testing/fleet.ts';
import { operationsOf } from '#shared/testing/life.ts';
import type { PassedPoint } from '#shared/testing/stop-points/counter.ts';
import { readPoints } from '#shared/testing/stop-points/folder.ts';
import { killAt } from './case.ts';
import { lifeRequestFor, newStopFolder, steadyState } from './life-case.ts';
import { type LifeState, type Mark, markOf } from './life-state.ts';
import type { World } from './world.ts';

const pingSource = '/apis/v1/namespaces/odoo-fleet/pingsources/reconcile';
const timeoutMs = 60_000;

/** POSTs a tick. Resolves when it is answered, or when whoever had it is gone. */
async function tickOnce(url: string): Promise<void> {
  const { headers, body } = rawEvent({ id: randomUUID(), type: ping.type, source: pingSource, data: {} });
  const answer = await request(url, { method: 'POST', headers, body }).catch(() => undefined);
  await answer?.body.dump().catch(() => undefined);
}

/** Ticks that the test may hold back: one after the other, so that none is under way once `pause` has resolved. */
export function startTicks(world: World, everyMs: number): { pause(): Promise<void>; resume(): void } {
  let isPaused = true;
  let running = Promise.resolve();
  const run = async () => {
    while (!isPaused) {
      await tickOnce(world.fleet.functions.url('reconcile'));
      await delay(everyMs);
    }
  };
  return {
    async pause() {
      isPaused = true;
      await running;
    },
    resume() {
      if (!isPaused) return;
      isPaused = false;
      running = run();
    },
  };
}

/** Two instances that run. The one drifts, the other has an operation that only the tick knows of. */
export type Subjects = { drifting: string; waiting: string };

export type TickResult = { points: PassedPoint[]; wasKilled: boolean; seconds: number; state: LifeState };

/**
 * One tick over a fleet in which everything it is there for is to be done: an instance without Service and Ingress, a wrong
 * count, an event that nobody has published, an operation whose request was lost. The process is killed at `point`, and
 * later ticks go on.
 */
export async function runTick(
  world: World,
  options: { subjects: Subjects; ticks: ReturnType<typeof startTicks>; point?: PassedPoint; expected?: LifeState },
): Promise<TickResult> {
  const { fleet } = world;
  const { subjects, ticks, point, expected } = options;
  await ticks.pause();
  const marks = {
    drifting: await markOf(fleet, subjects.drifting),
    waiting: await markOf(fleet, subjects.waiting),
  };
  const eventId = await makeWork(world, subjects);
  const folder = newStopFolder(world);
  const victim = await world.startVictim({
    folder,
    functionName: 'reconcile',
    stops: point === undefined ? [] : [killAt(point)],
  });
  const startedMs = performance.now();
  await tickOnce(`http://127.0.0.1:${victim.port}/`);
  const points = await readPoints(folder);
  const ended = await victim.process.stop().then(() => victim.process.exited);
  // A minute goes by in no time: the dead process's hold on its shard.
  await fleet.rows(`update reconcile_shards set until = now() where until is not null`);
  ticks.resume();
  await until('both operations to end', () => areEnded(world, marks), { timeoutMs }).catch(() => undefined);
  const seconds = (performance.now() - startedMs) / 1_000;
  await passAgain(world, subjects);
  const state = await tickState(world, { marks, eventId, ...(expected === undefined ? {} : { expected }) });
  return { points, wasKilled: ended.signal === 'SIGKILL', seconds, state };
}

async function makeWork(world: World, { drifting, waiting }: Subjects): Promise<string> {
  const { fleet } = world;
  await loseRequest(world, waiting);
  const { object } = namesOf(drifting);
  for (const path of [
    `/api/v1/namespaces/${tenantNamespace}/services/${object}`,
    `/apis/networking.k8s.io/v1/namespaces/${tenantNamespace}/ingresses/${object}`,
  ]) {
    await fleet.cluster.request('DELETE', path);
  }
  const eventId = randomUUID();
  await fleet.rows('truncate findings');
  await fleet.rows('update db_servers set instance_count = instance_count + 1');
  await fleet.rows(
    `insert into outbox (id, type, source, data, created_at)
     values ($1, 'dev.odoofleet.test.left', 'urn:test', '{}', now() - interval '10 seconds')`,
    [eventId],
  );
  await makeDue(world, drifting);
  return eventId;
}

/** An operation is accepted by a process that dies at once, and its request never comes again. */
async function loseRequest(world: World, instanceId: string): Promise<void> {
  const accepted = { number: 0, name: 'platform: COMMIT answered', occurrence: 1 };
  const victim = await world.startVictim({
    folder: newStopFolder(world),
    functionName: 'restart',
    stops: [killAt(accepted)],
  });
  const passage = world.gateway.passageOf(instanceId, 'restart');
  Object.assign(passage, { port: victim.port, losesRequest: false, passed: [] });
  await world.fleet.publish(lifeRequestFor({ kind: 'restart' }, instanceId));
  await victim.process.exited;
  Object.assign(passage, { port: undefined, losesRequest: true });
}

async function makeDue({ fleet }: World, instanceId: string): Promise<void> {
  const text = `update reconcile_shards set due_at = now() where shard in ($1, 'fleet') and until is null`;
  await fleet.rows(text, [instanceId.slice(0, 1)]);
}

async function areEnded(world: World, marks: Record<keyof Subjects, Mark>): Promise<boolean> {
  for (const { instanceId, operationIds } of Object.values(marks)) {
    const operations = await operationsOf(world.fleet, instanceId);
    const newer = operations.filter(({ id }) => !operationIds.includes(id));
    if (newer.length === 0 || newer.some(({ state }) => !['succeeded', 'failed', 'cancelled'].includes(state))) {
      return false;
    }
  }
  return true;
}

/** What was found is seen to be gone: by a pass of its own, which none that is under way keeps from its turn. */
async function passAgain(world: World, { drifting }: Subjects): Promise<void> {
  const text = `select count(*)::int as found, (count(*) filter (where resolved_at is null))::int as open from findings`;
  await until(
    'the findings to be resolved',
    async () => {
      await makeDue(world, drifting);
      const [counted] = await world.fleet.rows<{ found: number; open: number }>(text);
      return counted !== undefined && counted.found > 0 && counted.open === 0;
    },
    { timeoutMs: 30_000, everyMs: 500 },
  ).catch(() => undefined);
}

async function tickState(
  world: World,
  given: { marks: Record<keyof Subjects, Mark>; eventId: string; expected?: LifeState },
): Promise<LifeState> {
  const { marks, eventId, expected } = given;
  const of = async (mark: Mark, key: keyof Subjects) => {
    const newest = (await operationsOf(world.fleet, mark.instanceId)).at(-1);
    return await steadyState(world, mark, newest?.id ?? '', expected?.[key] as LifeState | undefined);
  };
  const [drifting, waiting] = [await of(marks.drifting, 'drifting'), await of(marks.waiting, 'waiting')];
  const { rows } = world.fleet;
  const findings = await rows<{ kind: string }>(
    `select kind, repairs, resolved_at is not null as is_resolved from findings order by kind`,
  );
  const [corrected] = await rows(
    `select count(*)::int as times from audit where action = 'server-count.corrected' and sequence > $1`,
    [marks.drifting.auditSequence],
  );
  const counts = await rows(
    `select instance_count - (select count(*) from instances where db_server_id = s.id) as wrong from db_servers s`,
  );
  const event = await rows('select published_at is not null as is_published from outbox where id = $1', [eventId]);
  const dead = await rows('select reason from dead_events');
  return { drifting, waiting, findings, corrected, counts, event, dead };
}
