import { join } from 'node:path';
import type { Instance } from '#shared/sandbox/functions/instance.ts';
import { provisionRequest, type TestEvent, until } from '#shared/testing/fleet.ts';
import type { PassedPoint, Stop } from '#shared/testing/stop-points/counter.ts';
import { readPoints } from '#shared/testing/stop-points/folder.ts';
import { type EndState, endStateOf, loginsOf } from './end-state.ts';
import { newInstanceId, type World } from './world.ts';

/** A request for an instance of this test's, with the subject that tells its events apart. */
export function requestFor(instanceId: string, data: Record<string, unknown> = {}): TestEvent {
  const event = provisionRequest(`i${instanceId}`, { instance: instanceId, ...data });
  return { ...event, attributes: { subject: instanceId } };
}

/** How a crash was come back from. */
export type Recovery =
  /** The broker delivers the event again; the tick does its part, too. */
  | 'event'
  /** The broker loses the event: the tick alone finds the operation. */
  | 'tick'
  /** A person cancels the operation instead of waiting. */
  | 'cancel';

export type CaseResult = {
  point: PassedPoint | undefined;
  /** Was the process killed at the point, and cancelled in time? If not, it went another way and never came by. */
  wasKilled: boolean;
  recovery: Recovery;
  instanceId: string;
  seconds: number;
  endState: EndState;
  logins: { right: boolean; standard: boolean } | undefined;
};

const endStates = ['succeeded', 'failed', 'cancelled'];
const timeoutMs = 120_000;

/** A run to the end without a crash; the points it passed, and what it left. */
export async function runUndisturbed(
  world: World,
  data: Record<string, unknown> = {},
): Promise<CaseResult & { points: PassedPoint[] }> {
  const startedMs = performance.now();
  const { instanceId, folder, victim } = await begin(world, { data });
  const { passed } = world.gateway.passageOf(instanceId);
  await until('the undisturbed run to be answered', async () => passed.some(({ outcome }) => outcome === 'succeeded'), {
    timeoutMs,
  });
  const points = await readPoints(folder);
  const result = await conclude(world, { instanceId, recovery: 'event', point: undefined, startedMs });
  world.gateway.passageOf(instanceId).port = undefined;
  await victim.process.stop();
  return { ...result, points };
}

/** A run whose process is killed at `point`, come back from by `recovery`. */
export async function runCase(
  world: World,
  point: PassedPoint,
  options: { recovery: Recovery; data?: Record<string, unknown> },
): Promise<CaseResult> {
  const begun = await begin(world, { point, ...options });
  try {
    return await runWith(world, begun, { point, ...options });
  } finally {
    world.gateway.passageOf(begun.instanceId).port = undefined;
    await begun.victim.process.stop({ signal: 'SIGKILL' });
  }
}

async function runWith(
  world: World,
  { instanceId, victim }: { instanceId: string; victim: Instance },
  { point, ...options }: { point: PassedPoint; recovery: Recovery },
): Promise<CaseResult> {
  const startedMs = performance.now();
  const passage = world.gateway.passageOf(instanceId);
  let wasKilled = false;
  const died = victim.process.exited.then(({ signal }) => {
    wasKilled = signal === 'SIGKILL';
    passage.port = undefined;
  });
  const ended = until('the process to die or to finish', async () => wasKilled || (await hasEnded(world, instanceId)), {
    timeoutMs,
    everyMs: 50,
  }).catch(() => undefined);
  await Promise.race([died, ended]);
  const isRecorded = wasKilled && (await world.fleet.operationOf(instanceId)) !== undefined;
  // A crash before the row is there can only be come back from by the event.
  const recovery = wasKilled && !isRecorded ? 'event' : options.recovery;
  passage.losesRequest = recovery === 'tick';
  if (wasKilled && recovery === 'cancel') await world.fleet.command('cancel', instanceId);
  const result = await conclude(world, { instanceId, recovery, point, startedMs });
  // Somebody finished it before the cancel came: as if the process had not been killed.
  return { ...result, wasKilled: wasKilled && !(await cameTooLate(world, instanceId)) };
}

/** Had the operation succeeded when the cancel was noted? */
async function cameTooLate({ fleet }: World, instanceId: string): Promise<boolean> {
  const ignored = `select 1 from audit where instance_id = $1 and action = 'provision.cancel.ignored'
    and detail ->> 'state' = 'succeeded'`;
  return (await fleet.rows(ignored, [instanceId])).length > 0;
}

async function begin(
  world: World,
  options: { point?: PassedPoint; data?: Record<string, unknown> },
): Promise<{ instanceId: string; folder: string; victim: Instance }> {
  const instanceId = newInstanceId();
  const { point } = options;
  const folder = join(world.fleet.folder, 'stop-points', instanceId);
  const victim = await world.startVictim({ folder, stops: point === undefined ? [] : [killAt(point)] });
  world.gateway.passageOf(instanceId).port = victim.port;
  await world.fleet.publish(requestFor(instanceId, options.data));
  return { instanceId, folder, victim };
}

async function hasEnded(world: World, instanceId: string): Promise<boolean> {
  const operation = await world.fleet.operationOf(instanceId);
  return operation !== undefined && endStates.includes(operation.state);
}

async function conclude(
  world: World,
  given: { instanceId: string; recovery: Recovery; point: PassedPoint | undefined; startedMs: number },
): Promise<CaseResult> {
  const { instanceId, recovery, point, startedMs } = given;
  const { fleet } = world;
  // One that does not end shows in its end state, next to what it waits for.
  await until(`operation of ${instanceId} to end`, () => hasEnded(world, instanceId), { timeoutMs }).catch(
    () => undefined,
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  await until(`events of ${instanceId} to be published`, async () => {
    const text = `select 1 from outbox where data ->> 'instance' = $1 and published_at is null`;
    return (await fleet.rows(text, [instanceId])).length === 0;
  });
  const isRunning = (await fleet.operationOf(instanceId))?.state === 'succeeded';
  const logins = isRunning ? await loginsOf(fleet, instanceId) : undefined;
  const endState = await endStateOf(fleet, instanceId);
  return { point, wasKilled: false, recovery, instanceId, seconds, endState, logins };
}

/** As `runCase`, again when the process went another way and never came by the point: other work of the fleet decides that. */
export async function runCaseUntilKilled(
  world: World,
  point: PassedPoint,
  options: Parameters<typeof runCase>[2],
): Promise<CaseResult> {
  let result = await runCase(world, point, options);
  for (let more = 0; more < 3 && !result.wasKilled; more += 1) result = await runCase(world, point, options);
  return result;
}

/** The end of a process at a point that another one passed. */
export function killAt({ name, occurrence }: PassedPoint): Stop {
  return { name, occurrence, signal: 'SIGKILL' };
}

/** Waits for all of them, also when one fails: what goes on would disturb whatever comes next. @throws the first error, then. */
export async function allOver<Result>(works: readonly Promise<Result>[]): Promise<Result[]> {
  await Promise.allSettled(works);
  return await Promise.all(works);
}

/** Runs cases side by side, a few at a time, in order. When one throws, so does this, once all others are over. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = items.entries();
  const worker = async () => {
    // one iterator for all: each takes the next item
    for (const [index, item] of waiting) results[index] = await work(item);
  };
  await allOver(Array.from({ length: Math.min(concurrency, items.length) }, worker));
  return results;
}

/** The statement with which the runner begins a step. */
const beginStep = 'platform: UPDATE operations, UPDATE operation_steps, INSERT operation_steps before';

/**
 * The points of one or more steps: from the beginning of the one in which a point like `from` comes first to the
 * beginning of the one in which one like `to` does.
 */
export function pointsOfSteps(points: readonly PassedPoint[], from: RegExp, to: RegExp): PassedPoint[] {
  const begun = (like: RegExp) => {
    const first = points.findIndex(({ name }) => like.test(name));
    const index = points.findLastIndex(({ name }, at) => at < first && name === beginStep);
    if (index < 0) throw new Error(`no step of the run has a point like ${like}`);
    return index;
  };
  return points.slice(begun(from), begun(to));
}
