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
  state: LifeState;
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
  const reference = await run(world, scenario, { kill: undefined });
  const kills = [
    ...evenly(reference.ofOvertaken, options.points).map((at) => ({ who: 'overtaken' as const, at })),
    ...evenly(reference.ofOvertaking, options.points).map((at) => ({ who: 'overtaking' as const, at })),
  ];
  return await inParallel(kills, options.concurrency, async (kill) => {
    const { state, kills: died, seconds, instanceId } = await run(world, scenario, { kill, expected: reference.state });
    const { functionName } = scenario.overtaken;
    return {
      kind: kill.who === 'overtaken' ? functionName : scenario.overtaking.kind,
      point: kill.at,
      instanceId,
      kills: died,
      recovery: 'event',
      endedBy: 'unknown',
      seconds,
      state,
      why: differences(state, reference.state),
    };
  });
}

async function run(
  world: World,
  scenario: Overtaking,
  { kill, expected }: { kill: Kill; expected?: LifeState },
): Promise<Run & { instanceId: string }> {
  const { fleet, gateway } = world;
  const { overtaken, overtaking, standsAt } = scenario;
  const instanceId = await scenario.newInstance();
  const killed = (who: 'overtaken' | 'overtaking') => (kill?.who === who ? [killAt(kill.at)] : []);
  const folders = { first: newStopFolder(world), second: newStopFolder(world) };
  const first = await world.startVictim({
    folder: folders.first,
    functionName: overtaken.functionName,
    stops: [{ ...standsAt, signal: 'SIGSTOP' }, ...killed('overtaken')],
  });
  const second = await world.startVictim({
    folder: folders.second,
    functionName: overtaking.kind,
    stops: killed('overtaking'),
  });
  let kills = 0;
  for (const [victim, name] of [
    [first, overtaken.functionName],
    [second, overtaking.kind],
  ] as const) {
    const passage = gateway.passageOf(instanceId, name);
    Object.assign(passage, { port: victim.port, losesRequest: false, passed: [] });
    void victim.process.exited.then(({ signal }) => {
      if (signal === 'SIGKILL') kills += 1;
      passage.port = undefined;
    });
  }
  const mark = await markOf(fleet, instanceId);
  const startedMs = performance.now();
  await fleet.publish(overtaken.request(instanceId));
  const { pid } = first.process;
  await until(`${overtaken.functionName} to stand still`, async () => isStopped(pid), { timeoutMs, everyMs: 10 });
  const before = (await readPoints(folders.first)).length;
  const event = lifeRequestFor(overtaking, instanceId);
  await fleet.publish(event);
  const operationId = await operationOfEvent(world, event).finally(() => process.kill(pid, 'SIGCONT'));
  await until(
    'both to end',
    async () => {
      const states = (await operationsOf(fleet, instanceId)).map(({ state }) => state);
      return states.every((state) => ['succeeded', 'failed', 'cancelled'].includes(state));
    },
    { timeoutMs },
  ).catch(() => undefined);
  const seconds = (performance.now() - startedMs) / 1_000;
  // At which step the first one hears of the second depends on where it died.
  const settled = await steadyState(
    world,
    mark,
    operationId,
    expected && ((now) => ({ ...expected, steps: now['steps'] })),
  );
  const { steps: _steps, ...state } = settled;
  const died = kills;
  const ofOvertaken = (await readPoints(folders.first)).slice(before);
  const ofOvertaking = await readPoints(folders.second);
  await Promise.all([first, second].map((victim) => victim.process.stop({ signal: 'SIGKILL' })));
  return { state, ofOvertaken, ofOvertaking, kills: died, seconds, instanceId };
}
