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
  /** Lets it go on; resolves with the points it passed since, and with its answer to the event it was at. */
  goOn(): Promise<{ points: PassedPoint[]; answer: Passed }>;
};

const timeoutMs = 90_000;

/** Starts a provisioning in a process of its own that stops (SIGSTOP) right before a call; others may take over then. */
export async function stopBefore(world: World, call: string, occurrence = 1): Promise<StoppedHolder> {
  const instanceId = newInstanceId();
  const stopped = startStopping(world, instanceId, { name: `${call} before`, occurrence });
  const { victim, stands } = await stopped;
  world.gateway.passageOf(instanceId).port = victim.port;
  await world.fleet.publish(requestFor(instanceId));
  return await stands();
}

/** Starts a process that gets the instance's events once its passage leads there, and stops at `point`. */
export async function startStopping(world: World, instanceId: string, point: Pick<Stop, 'name' | 'occurrence'>) {
  const folder = join(world.fleet.folder, 'stop-points', `${instanceId}-stopped`);
  const victim = await world.startVictim({ folder, stops: [{ ...point, signal: 'SIGSTOP' }] });
  const { pid } = victim.process;
  const passage = world.gateway.passageOf(instanceId);
  const stands = async (): Promise<StoppedHolder> => {
    await until(`the process to stop at ${point.name}`, async () => isStopped(pid), { timeoutMs, everyMs: 10 });
    passage.port = undefined;
    return {
      instanceId,
      pid,
      async goOn() {
        const before = (await readPoints(folder)).length;
        const answered = () => passage.passed.filter(({ to }) => to === 'process');
        const alreadyAnswered = answered().length;
        process.kill(pid, 'SIGCONT');
        const answer = await until('the resumed process to answer', async () => answered()[alreadyAnswered], {
          timeoutMs,
        });
        const points = (await readPoints(folder)).slice(before);
        await victim.process.stop();
        return { points, answer };
      },
    };
  };
  return { victim, stands };
}
