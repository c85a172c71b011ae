import { join } from 'node:path';
import { until } from '#shared/testing/fleet.ts';
import type { PassedPoint, Stop } from '#shared/testing/stop-points/counter.ts';
import { isStopped, readPoints } from '#shared/testing/stop-points/folder.ts';
import { requestFor } from './case.ts';
import type { Passed } from './gateway.ts';
import { newInstanceId, type World } from './world.ts';

/** A process that holds an operation's lease and stands still right before a call. */
export type StoppedHolder = {
  instanceId: string;
  pid: number;
  /**
   * Lets it go on until it has answered everything it has been sent. Resolves with the points it passed since, and with
   * what the events it was at came to. Others that reached it meanwhile are left out: they found the operation held, or over.
   */
  goOn(): Promise<{ points: PassedPoint[]; answers: Passed[] }>;
};

const timeoutMs = 90_000;
/** Times a process is led to a call that it did not come by: one that is too slow loses its lease on the way. */
const mostTries = 3;

/** Starts a provisioning in a process of its own that stops (SIGSTOP) right before a call; others may take over then. */
export async function stopBefore(world: World, call: string, occurrence = 1): Promise<StoppedHolder> {
  for (let tries = 1; tries <= mostTries; tries += 1) {
    const instanceId = newInstanceId();
    const stopping = await startStopping(world, instanceId, { name: `${call} before`, occurrence });
    const { victim, stands, hasAnswered } = stopping;
    // An advance by the tick, which may come at any time, would be at work in it besides.
    Object.assign(world.gateway.passageOf(instanceId), { port: victim.port, onlyRequests: true });
    await world.fleet.publish(requestFor(instanceId));
    const holder = await stands({ or: hasAnswered });
    if (holder !== undefined) return holder;
    await world.fleet.operationIn('succeeded', instanceId);
    await victim.process.stop();
  }
  throw new Error(`no process has stopped before ${call}`);
}

let folders = 0;

/** Starts a process that gets the instance's events once its passage leads there, and stops at `point`. */
export async function startStopping(world: World, instanceId: string, point: Pick<Stop, 'name' | 'occurrence'>) {
  folders += 1;
  const folder = join(world.fleet.folder, 'stop-points', `stopped-${folders}`);
  const victim = await world.startVictim({ folder, stops: [{ ...point, signal: 'SIGSTOP' }] });
  const { pid } = victim.process;
  const passage = world.gateway.passageOf(instanceId);
  const answered = () => passage.passed.filter(({ port }) => port === victim.port);
  const isAnswering = () => [...passage.underWay].some(({ port }) => port === victim.port);
  /** Is it done with what it has been sent? */
  const hasAnswered = () => answered().some(({ status }) => status === 204) && !isAnswering();
  /** Undefined when `or` has come true instead. */
  const stands = async ({ or }: { or?: () => boolean } = {}): Promise<StoppedHolder | undefined> => {
    await until(`the process to stop at ${point.name}`, async () => isStopped(pid) || or?.() === true, {
      timeoutMs,
      everyMs: 10,
    });
    passage.port = undefined;
    if (!isStopped(pid)) return undefined;
    return {
      instanceId,
      pid,
      async goOn() {
        const before = (await readPoints(folder)).length;
        const alreadyAnswered = answered().length;
        process.kill(pid, 'SIGCONT');
        await until('the resumed process to answer', async () => !isAnswering(), { timeoutMs });
        const answers = answered().slice(alreadyAnswered);
        const points = (await readPoints(folder)).slice(before);
        await victim.process.stop();
        return { points, answers: answers.filter(({ outcome }) => !['held', 'finished'].includes(outcome)) };
      },
    };
  };
  return { victim, stands, hasAnswered };
}
