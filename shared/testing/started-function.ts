import { join } from 'node:path';
import { Agent } from 'undici';
import { becomeReady, startInstance } from '#shared/sandbox/functions/instance.ts';
import type { TestFleet } from './fleet.ts';

/** A function as a process of its own beside a fleet, of which the fleet's broker and host know nothing. */
export type StartedFunction = {
  url: string;
  /** Of its own: connections end with the process. */
  dispatcher: Agent;
  /** SIGKILL, sent before this returns. */
  kill(): void;
  /** Waits for its end. */
  ended: Promise<unknown>;
  stop(): Promise<void>;
};

let started = 0;

/** Starts it and waits until it is ready. `settings` go on top of those of the fleet. */
export async function startFunction(
  fleet: TestFleet,
  name: string,
  settings: Record<string, string> = {},
): Promise<StartedFunction> {
  const program = fleet.programOf(name);
  started += 1;
  const instance = await startInstance(
    name,
    { ...program, env: { ...program.env, ...settings } },
    // the fleet's own begin at 1
    { number: 1_000 + started, folder: join(fleet.folder, 'functions'), processes: fleet.processes },
  );
  const dispatcher = new Agent({ headersTimeout: 60_000 });
  await becomeReady(instance, { dispatcher, withinMs: 60_000 });
  const { process: running } = instance;
  return {
    url: `http://127.0.0.1:${instance.port}`,
    dispatcher,
    kill() {
      process.kill(running.pid, 'SIGKILL');
    },
    ended: running.exited,
    async stop() {
      await running.stop();
      await dispatcher.close();
    },
  };
}
