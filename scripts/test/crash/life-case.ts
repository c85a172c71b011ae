import { join } from 'node:path';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import type { Instance } from '#shared/sandbox/functions/instance.ts';
import type { ProcessExit } from '#shared/sandbox/processes.ts';
import { type TestEvent, until } from '#shared/testing/fleet.ts';
import { lifeRequest } from '#shared/testing/life.ts';
import type { PassedPoint } from '#shared/testing/stop-points/counter.ts';
import { readPoints } from '#shared/testing/stop-points/folder.ts';
import { killAt, type Recovery } from './case.ts';
import { differences } from './compare.ts';
import type { Passage, Passed } from './gateway.ts';
import { hasEndingPods, type LifeState, lifeStateOf, type Mark, markOf } from './life-state.ts';
import { trailOf } from './request-trail.ts';
import type { World } from './world.ts';

/** An operation of the life of an instance, as the crash tests ask for it. */
export type LifeKind = {
  kind: Exclude<OperationKind, 'provision'>;
  /** Of the request; of one that makes an instance it depends on which. */
  data?: Record<string, unknown> | ((instanceId: string) => Record<string, unknown>);
  /** Brings about what the operation is to mend or destroy; the instance to ask it of. */
  prepare?: (world: World, instanceId: string) => Promise<string>;
  /** What is not right about what it was to make; empty is well. */
  check?: (world: World, instanceId: string, operationId: string) => Promise<string[]>;
};

export type LifeResult = {
  kind: string;
  point: PassedPoint | undefined;
  instanceId: string;
  /** Processes that were killed on the way. */
  kills: number;
  recovery: Recovery;
  /**
   * Who brought it to its end after the last kill: the request that came again, or an advance, which the tick or the
   * cluster's news asked for. `itself`: it had ended before the kill.
   */
  endedBy: 'request' | 'advance' | 'itself' | 'unknown';
  /** From the last kill, or from the beginning, to the operation's end. */
  seconds: number;
  state: LifeState;
  /** What is not as expected; empty is well. */
  why: string[];
};

const timeoutMs = 120_000;
/** Longer than the broker tries: its five retries come 2, 4, 8, 16 and 32 s after one another. */
const acceptMs = 75_000;
/** The world follows the records: pods end, the tick publishes what a killed process has not, the ingress sees its objects. */
const settleMs = 60_000;
const endStates = ['succeeded', 'failed', 'cancelled'];

/** The request, with the subject that tells its events apart at the gateway. */
export function lifeRequestFor({ kind, data = {} }: LifeKind, instanceId: string): TestEvent {
  const said = typeof data === 'function' ? data(instanceId) : data;
  return { ...lifeRequest(kind, instanceId, said), attributes: { subject: instanceId } };
}

let folders = 0;

export function newStopFolder(world: World): string {
  folders += 1;
  return join(world.fleet.folder, 'stop-points', `life-${folders}`);
}

/** A run without a crash, in a process that only counts: the points it passed, and what it left. */
export async function runCounted(
  world: World,
  kind: LifeKind,
  instanceId: string,
): Promise<{ points: PassedPoint[]; state: LifeState }> {
  const folder = newStopFolder(world);
  const victim = await world.startVictim({ folder, functionName: kind.kind });
  const passage = world.gateway.passageOf(instanceId, kind.kind);
  try {
    const { mark, event } = await begin(world, { kind, instanceId, port: victim.port });
    const operationId = await operationOfEvent(world, event);
    await ended(world, operationId);
    const { passed } = passage;
    await until('the request to be answered', async () => passed.some(({ outcome }) => outcome === 'succeeded'));
    const points = await readPoints(folder);
    passage.port = undefined;
    await victim.process.stop();
    return { points, state: await steadyState(world, mark, operationId) };
  } finally {
    passage.port = undefined;
    await victim.process.stop({ signal: 'SIGKILL' });
  }
}

export type KilledRun = {
  kind: LifeKind;
  instanceId: string;
  points: readonly PassedPoint[];
  recovery: Recovery;
  expected: LifeState | ((state: LifeState) => LifeState);
};

/**
 * A run whose processes are killed, one after the other, at the first point of each list that they come by. When it
 * throws, the instance's events go to the fleet's own functions again.
 */
export async function runKilled(world: World, given: KilledRun): Promise<LifeResult> {
  const { kind, instanceId, points } = given;
  const victims = await Promise.all(
    points.map((point) =>
      world.startVictim({ folder: newStopFolder(world), functionName: kind.kind, stops: [killAt(point)] }),
    ),
  );
  try {
    return await runWith(world, victims, given);
  } finally {
    world.gateway.passageOf(instanceId, kind.kind).port = undefined;
    await Promise.all(victims.map((victim) => victim.process.stop({ signal: 'SIGKILL' })));
  }
}

/** What is left to say of a case that could not be carried through. */
export function brokenCase({ kind, instanceId, points, recovery }: KilledRun, error: unknown): LifeResult {
  const why = [error instanceof Error ? error.message : String(error)];
  return {
    ...{ kind: kind.kind, point: points[0], instanceId, kills: 0, recovery, endedBy: 'unknown', seconds: 0 },
    state: {},
    why,
  };
}

async function runWith(world: World, victims: readonly Instance[], given: KilledRun): Promise<LifeResult> {
  const { kind, instanceId, points, expected } = given;
  const [first, ...others] = victims;
  const { mark, event } = await begin(world, { kind, instanceId, port: first?.port });
  const passage = world.gateway.passageOf(instanceId, kind.kind);
  let startedMs = performance.now();
  let kills = 0;
  let recovery = given.recovery;
  for (const [index, victim] of victims.entries()) {
    if (!(await killedOrOver(world, victim, { event, passage }))) break;
    startedMs = performance.now();
    kills += 1;
    passage.port = others[index]?.port;
    // A crash before the row is there can only be come back from by the event.
    if ((await receiptOf(world, event)) === undefined) recovery = 'event';
    passage.losesRequest = recovery === 'tick';
  }
  const operationId = await operationOfEvent(world, event);
  const wasOver = await hasEnded(world, operationId);
  await ended(world, operationId);
  const seconds = (performance.now() - startedMs) / 1_000;
  passage.port = undefined;
  await Promise.all(victims.slice(kills).map((victim) => victim.process.stop({ signal: 'SIGKILL' })));
  const state = await steadyState(world, mark, operationId, expected);
  const why = differences(state, typeof expected === 'function' ? expected(state) : expected);
  if (why.length === 0) why.push(...((await kind.check?.(world, instanceId, operationId)) ?? []));
  const endedBy = wasOver ? 'itself' : enderOf(passage.passed);
  return { kind: kind.kind, point: points[0], instanceId, kills, recovery, endedBy, seconds, state, why };
}

/** A run that the fleet's own functions carry out, nobody killed. */
export async function runPlain(world: World, kind: LifeKind, instanceId: string): Promise<LifeState> {
  const { mark, event } = await begin(world, { kind, instanceId, port: undefined });
  const operationId = await operationOfEvent(world, event);
  await ended(world, operationId);
  return await steadyState(world, mark, operationId);
}

async function begin(
  world: World,
  given: { kind: LifeKind; instanceId: string; port: number | undefined },
): Promise<{ mark: Mark; event: TestEvent }> {
  const { kind, instanceId, port } = given;
  const passage = world.gateway.passageOf(instanceId, kind.kind);
  Object.assign(passage, { port, losesRequest: false, passed: [] });
  const mark = await markOf(world.fleet, instanceId);
  const event = lifeRequestFor(kind, instanceId);
  await world.fleet.publish(event);
  return { mark, event };
}

/** Waits until the process was killed (true), or the operation has ended without it. @throws Error when it ended otherwise. */
async function killedOrOver(
  world: World,
  { process, port }: Instance,
  { event, passage }: { event: TestEvent; passage: Passage },
): Promise<boolean> {
  let exit: ProcessExit | undefined;
  void process.exited.then((found) => {
    exit = found;
  });
  const isOver = async () => {
    const receipt = await receiptOf(world, event);
    return receipt !== undefined && (receipt.operationId === null || (await hasEnded(world, receipt.operationId)));
  };
  await until('the process to die or to finish', async () => exit !== undefined || (await isOver()), {
    timeoutMs,
    everyMs: 50,
  }).catch(() => undefined);
  // Its last points, those of publishing, come after the operation's end and before its answer.
  const isDone = () => {
    const isAnswering = [...passage.underWay].some((one) => one.port === port);
    return !isAnswering && passage.passed.findLast((one) => one.port === port)?.status !== 502;
  };
  await until('the process to die or to answer', async () => exit !== undefined || isDone(), {
    timeoutMs,
    everyMs: 20,
  }).catch(() => undefined);
  if (exit === undefined) return false;
  if (exit.signal === 'SIGKILL') return true;
  const how = `The process on port ${port} ended with ${exit.signal ?? `code ${exit.code}`} instead of being killed.`;
  throw new Error(`${how}\n${await trailOf(world, event)}`);
}

/** What became of an event; without an operation it was refused. */
async function receiptOf({ fleet }: World, event: TestEvent) {
  const text = 'select operation_id::text as "operationId", outcome from inbox where source = $1 and id = $2';
  return (await fleet.rows<{ operationId: string | null; outcome: string }>(text, [event.source, event.id]))[0];
}

/** The operation that an event asked for, once it is accepted. @throws Error with all that is known of it when it is not. */
export async function operationOfEvent(world: World, event: TestEvent): Promise<string> {
  const told = async (what: string) => new Error(`${what}\n${await trailOf(world, event)}`);
  const receipt = await until(`${event.type} to be accepted`, () => receiptOf(world, event), {
    timeoutMs: acceptMs,
  }).catch(async (cause: unknown) => {
    throw await told((cause as Error).message);
  });
  if (receipt.operationId === null) throw await told(`${event.type} was ${receipt.outcome}.`);
  return receipt.operationId;
}

async function hasEnded(world: World, operationId: string): Promise<boolean> {
  const [row] = await world.fleet.rows<{ state: string }>('select state from operations where id = $1', [operationId]);
  return row !== undefined && endStates.includes(row.state);
}

/** One that does not end shows in its state, next to what it waits for. */
export async function ended(world: World, operationId: string): Promise<void> {
  await until(`operation ${operationId} to end`, () => hasEnded(world, operationId), { timeoutMs }).catch(
    () => undefined,
  );
}

/** Reads the state until it is as expected, or, with nothing expected, until it stays the same for some looks. */
export async function steadyState(
  world: World,
  mark: Mark,
  operationId: string,
  expected?: LifeState | ((state: LifeState) => LifeState),
): Promise<LifeState> {
  let state: LifeState = {};
  let same = 0;
  await until(
    'the world to settle',
    async () => {
      const now = await lifeStateOf(world.fleet, mark, operationId);
      if (expected !== undefined) {
        state = now;
        return differences(now, typeof expected === 'function' ? expected(now) : expected).length === 0;
      }
      const isAtRest = isSettled(now) && !(await hasEndingPods(world.fleet, mark.instanceId));
      same = isAtRest && differences(now, state).length === 0 ? same + 1 : 0;
      state = now;
      return same >= 3;
    },
    { timeoutMs: settleMs, everyMs: 500 },
  ).catch(() => undefined);
  return state;
}

function isSettled(state: LifeState): boolean {
  const events = state['events'] as { published: boolean }[];
  return events.every(({ published }) => published);
}

function enderOf(passed: readonly Passed[]): LifeResult['endedBy'] {
  const isRequest = ({ type }: Passed) => type.endsWith('.requested');
  const last = passed.find(({ outcome }) => outcome === 'succeeded');
  if (last !== undefined) return isRequest(last) ? 'request' : 'advance';
  // A request that comes again is answered as the duplicate it is, and goes on all the same.
  return passed.some((one) => isRequest(one) && one.outcome === 'duplicate') ? 'request' : 'unknown';
}
