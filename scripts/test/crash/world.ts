import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Agent } from 'undici';
import { becomeReady, type Instance, startInstance } from '#shared/sandbox/functions/instance.ts';
import type { ProcessExit } from '#shared/sandbox/processes.ts';
import { startTestFleet, type TestFleet, type TestFleetOptions } from '#shared/testing/fleet.ts';
import type { Stop } from '#shared/testing/stop-points/counter.ts';
import { makeStopFolder, stopPointEnvironment } from '#shared/testing/stop-points/folder.ts';
import { type Gateway, startGateway } from './gateway.ts';

/** A fleet whose functions can be replaced, instance by instance, by a process with stop points. */
export type World = {
  fleet: TestFleet;
  gateway: Gateway;
  /** Starts a function's process of its own, of `provision` unless another is named. `folder` gets its stop points. */
  startVictim(options: { folder: string; functionName?: string; stops?: readonly Stop[] }): Promise<Instance>;
  /** All of them so far. */
  victims: readonly Victim[];
  end(): Promise<void>;
};

/** A process with stop points, for whoever wants to know what became of it. */
export type Victim = { functionName: string; port: number; pid: number; exit: ProcessExit | undefined };

/** Long enough for a step on a busy machine, short enough to wait for. */
export const leaseMs = 2_000;

let number = 0;

export async function startWorld(options: TestFleetOptions = {}): Promise<World> {
  const gateway = await startGateway();
  const { fleet, end } = await startTestFleet({
    gatewayUrl: gateway.url,
    maxInstances: 100_000,
    ...options,
    functionSettings: {
      LEASE_MS: String(leaseMs),
      FUNCTION_URL: gateway.straightUrl,
      LOG_LEVEL: 'warn',
      ...options.functionSettings,
    },
  });
  gateway.open(fleet.functions);
  const dispatcher = new Agent();
  const victims: Victim[] = [];
  return {
    fleet,
    gateway,
    victims,
    async startVictim({ folder, functionName = 'provision', stops = [] }) {
      await makeStopFolder(folder, ...stops);
      const program = fleet.programOf(functionName);
      number += 1;
      const victim = await startInstance(
        functionName,
        { ...program, env: { ...program.env, ...stopPointEnvironment(folder) } },
        { number, folder: join(fleet.folder, 'victims'), processes: fleet.processes },
      );
      const noted: Victim = { functionName, port: victim.port, pid: victim.process.pid, exit: undefined };
      victims.push(noted);
      void victim.process.exited.then((exit) => {
        noted.exit = exit;
      });
      await becomeReady(victim, { dispatcher, withinMs: 30_000 });
      return victim;
    },
    async end() {
      await end();
      await gateway.stop();
      await dispatcher.destroy();
    },
  };
}

/** A random instance id. */
export function newInstanceId(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return [...randomBytes(12)].map((byte) => alphabet.charAt(byte & 31)).join('');
}
