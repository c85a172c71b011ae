import { fork } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessExit, ProcessGroup, ProcessSpec } from '../processes.ts';
import { standInOdooImage } from './odoo-image.ts';
import type { FromCrowd, ToCrowd } from './stand-in/crowd.ts';

/** A process group in which stand-ins that serve are not processes of their own. */
export type StandInCrowd = { processes: ProcessGroup; stop(): Promise<void> };

/**
 * Runs every stand-in that serves inside one process, and everything else in the group it is given: a program's start costs
 * 0.15 s of CPU and 90 MB. Its pages, tables and connections are the same code. What it does not have: a process id of its own,
 * and a death that spares the others. Logs go to `logFile`.
 */
export async function openStandInCrowd(given: ProcessGroup, options: { logFile: string }): Promise<StandInCrowd> {
  const log = await open(options.logFile, 'a');
  const child = fork(join(import.meta.dirname, 'stand-in/crowd.ts'), [], {
    execPath: process.execPath,
    execArgv: [],
    env: { PATH: '/usr/bin:/bin', NODE_ENV: 'production' },
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
    // Ctrl-C in a terminal reaches the opener only
    detached: true,
  });
  await once(child, 'spawn');
  await log.close();
  const serving = new Map<number, (exit: ProcessExit) => void>();
  let next = 1;
  child.on('message', ({ exited, code }: FromCrowd) => {
    serving.get(exited)?.({ code, signal: null });
    serving.delete(exited);
  });
  const ended = once(child, 'exit').then(() => {
    for (const settle of serving.values()) settle({ code: null, signal: 'SIGKILL' });
    serving.clear();
  });
  const send = (message: ToCrowd): void => {
    if (child.connected) child.send(message);
  };
  const isStandIn = isServing(standInOdooImage().entrypoint[0] ?? '');
  const processes: ProcessGroup = {
    async start(spec) {
      if (!isStandIn(spec)) return await given.start(spec);
      const number = next++;
      const exited = new Promise<ProcessExit>((resolve) => serving.set(number, resolve));
      send({ do: 'serve', number, args: spec.args });
      return {
        name: spec.name,
        pid: child.pid ?? 0,
        exited,
        async stop({ signal = 'SIGTERM', graceMs = 5_000 } = {}) {
          send({ do: 'end', number, signal });
          const timer = setTimeout(() => send({ do: 'end', number, signal: 'SIGKILL' }), graceMs);
          await exited;
          clearTimeout(timer);
        },
      };
    },
    stopAll: () => given.stopAll(),
  };
  return {
    processes,
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** A container's server, as against what initialises a database and ends. */
function isServing(program: string): (spec: ProcessSpec) => boolean {
  const works = ['shell', '--init', '-i', '--stop-after-init', '--version'];
  const isWork = (word: string) => works.some((one) => word === one || word.startsWith(`${one}=`));
  return ({ command, args }) => {
    const words = [command, ...args];
    return words.some((word) => word === program || word === 'odoo') && !words.some(isWork);
  };
}
