import type { Instance } from '#shared/sandbox/functions/instance.ts';
import { type TestEvent, until } from '#shared/testing/fleet.ts';
import { operationsOf } from '#shared/testing/life.ts';
import type { PassedPoint, Stop } from '#shared/testing/stop-points/counter.ts';
import { isStopped, readPoints } from '#shared/testing/stop-points/folder.ts';
import { inParallel, killAt } from './case.ts';
import { differences } from './compare.ts';
import {
  type LifeKind,
  type LifeResult,
  lifeRequestFor,
  newStopFolder,
  operationOfEvent,
  steadyState,
} from './life-case.ts';
import { evenly } from './life-points.ts';
import { type LifeState, markOf } from './life-state.ts';
import type { World } from './world.ts';

/** An operation that is at work when a later one overtakes it. */
export type Overtaking = {
  overtaken: { functionName: string; request: (instanceId: string) => TestEvent };
  /** Where the first one stands while the second is accepted. */
  standsAt: Pick<Stop, 'name' | 'occurrence'>;
  overtaking: LifeKind;
  /** An instance where the first one begins; its id, which needs no row yet. */
  newInstance: () => Promise<string>;
};

/** Who is killed, and where; nobody in the run that others are compared with. */
type Kill = { who: 'overtaken' | 'overtaking'; at: PassedPoint } | undefined;

type Run = {
  instanceId: string;
  state: LifeState;
  /** Points since the first one stood still. */
  ofOvertaken: PassedPoint[];
  ofOvertaking: PassedPoint[];
  kills: number;
  seconds: number;
};

const timeoutMs = 60_000;

/** Kills the one or the other at some points each; the end must be that of the run in which nobody was. */
export async function crashOvertaken(
  world: World,
  scenario: Overtaking,
  options: { concurrency: number; points: number },
): Promise<LifeResult[]> {
  const reference = await runUntilMet(world, scenario, { kill: undefined });
  const kills: NonNullable<Kill>[] = [
    ...evenly(reference.ofOvertaken, options.points).map((at) => ({ who: 'overtaken' as const, at })),
    ...evenly(reference.ofOvertaking, options.points).map((at) => ({ who: 'overtaking' as const, at })),
  ];
  return await inParallel(kills, options.concurrency, async (kill) => {
    const kind = kill.who === 'overtaken' ? scenario.overtaken.functionName : scenario.overtaking.kind;
    const told = { kind, point: kill.at, recovery: 'event', endedBy: 'unknown' } as const;
    try {
      const run = await runUntilMet(world, scenario, { kill, expected: reference.state });
      const { state, kills: died, seconds, instanceId } = run;
      return { ...told, instanceId, kills: died, seconds, state, why: differences(state, reference.state) };
    } catch (error) {
      return { ...told, instanceId: '', kills: 0, seconds: 0, state: {}, why: [String(error)] };
    }
  });
}

async function runUntilMet(world: World, scenario: Overtaking, given: Parameters<typeof run>[2]): Promise<Run> {
  for (let tries = 0; tries < 4; tries += 1) {
    const result = await run(world, scenario, given);
    if (result !== undefined) return result;
  }
  throw new Error(`The ${scenario.overtaken.functionName} never stood at ${scenario.standsAt.name}.`);
}

/** Undefined when the first one came by the point of its kill before it stood still: what else it does in between varies. */
async function run(
  world: World,
  scenario: Overtaking,
  { kill, expected }: { kill: Kill; expected?: LifeState },
): Promise<Run | undefined> {
  const instanceId = await scenario.newInstance();
  const both = await startBoth(world, scenario, { instanceId, kill });
  try {
    return await meet(world, scenario, { instanceId, both, expected });
  } finally {
    await Promise.all([both.first, both.second].map((victim) => victim.process.stop({ signal: 'SIGKILL' })));
  }
}

async function meet(
  world: World,
  scenario: Overtaking,
  given: { instanceId: string; both: Awaited<ReturnType<typeof startBoth>>; expected: LifeState | undefined },
): Promise<Run | undefined> {
  const { fleet } = world;
  const { instanceId, expected } = given;
  const { first, folders, kills } = given.both;
  const mark = await markOf(fleet, instanceId);
  const startedMs = performance.now();
  await fleet.publish(scenario.overtaken.request(instanceId));
  if (!(await standsStill(first))) return undefined;
  const before = (await readPoints(folders.first)).length;
  const event = lifeRequestFor(scenario.overtaking, instanceId);
  await fleet.publish(event);
  const operationId = await operationOfEvent(world, event).finally(() => process.kill(first.process.pid, 'SIGCONT'));
  await allEnded(world, instanceId);
  const seconds = (performance.now() - startedMs) / 1_000;
  // At which step the first one hears of the second depends on where it died.
  const wanted = expected && ((now: LifeState) => ({ ...expected, steps: now['steps'] }));
  const { steps: _steps, ...state } = await steadyState(world, mark, operationId, wanted);
  const died = kills();
  const ofOvertaken = (await readPoints(folders.first)).slice(before);
  const ofOvertaking = await readPoints(folders.second);
  return { instanceId, state, ofOvertaken, ofOvertaking, kills: died, seconds };
}

/** Processes of both functions that get the instance's events until they are gone. */
async function startBoth(
  world: World,
  { overtaken, overtaking, standsAt }: Overtaking,
  { instanceId, kill }: { instanceId: string; kill: Kill },
) {
  const stopsOf = (who: 'overtaken' | 'overtaking') => (kill?.who === who ? [killAt(kill.at)] : []);
  const folders = { first: newStopFolder(world), second: newStopFolder(world) };
  let kills = 0;
  const start = async (functionName: string, folder: string, stops: readonly Stop[]) => {
    const victim = await world.startVictim({ folder, functionName, stops });
    const passage = world.gateway.passageOf(instanceId, functionName);
    Object.assign(passage, { port: victim.port, losesRequest: false, passed: [] });
    void victim.process.exited.then(({ signal }) => {
      if (signal === 'SIGKILL') kills += 1;
      passage.port = undefined;
    });
    return victim;
  };
  const stand = { ...standsAt, signal: 'SIGSTOP' as const };
  const first = await start(overtaken.functionName, folders.first, [stand, ...stopsOf('overtaken')]);
  const second = await start(overtaking.kind, folders.second, stopsOf('overtaking'));
  return { first, second, folders, kills: () => kills };
}

/** Waits until the process stands still; false when it is gone instead. */
async function standsStill({ process: { pid, name, exited } }: Instance): Promise<boolean> {
  let isGone = false;
  void exited.then(() => {
    isGone = true;
  });
  await until(`${name} to stand still`, async () => isGone || isStopped(pid), { timeoutMs, everyMs: 10 });
  return !isGone;
}

async function allEnded(world: World, instanceId: string): Promise<void> {
  const areEnded = async () => {
    const operations = await operationsOf(world.fleet, instanceId);
    return operations.every(({ state }) => ['succeeded', 'failed', 'cancelled'].includes(state));
  };
  // One that does not end shows in the state.
  await until('both to end', areEnded, { timeoutMs }).catch(() => undefined);
}
