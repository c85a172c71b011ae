import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Writable } from 'node:stream';
import { openGuard } from './processes/guard.ts';

/** One program to run. */
export type ProcessSpec = {
  /** For messages. */
  name: string;
  /** A path, or a name that is looked up in `env.PATH`. */
  command: string;
  args: readonly string[];
  /** The whole environment; nothing is inherited. */
  env: Record<string, string>;
  cwd?: string;
  user?: { uid: number; gid: number };
  /** stdout and stderr are appended to it. Its folder is made. */
  logFile: string;
  /** What asks this program to end; SIGTERM unless stated. */
  stopSignal?: NodeJS.Signals;
};

export type ProcessExit = { code: number | null; signal: NodeJS.Signals | null };

export type RunningProcess = {
  name: string;
  /** Also the id of its process group. */
  pid: number;
  /** Code 127: the command was not found, 126: it may not be run; the log file has the reason. */
  exited: Promise<ProcessExit>;
  /** Signals the whole group, after `graceMs` (5000) with SIGKILL, and waits for the end. Harmless when it has ended. */
  stop(options?: { signal?: NodeJS.Signals; graceMs?: number }): Promise<void>;
};

export type ProcessGroup = {
  start(spec: ProcessSpec): Promise<RunningProcess>;
  /** Ends everything that was started, last first, and the guard. Nothing can be started afterwards. */
  stopAll(): Promise<void>;
};

/**
 * Starts programs that end with the process that opened the group, whatever ends it, kill -9 included.
 * Each program is the leader of a session of its own: Ctrl-C in a terminal reaches only the opener.
 * What a program leaves behind in its group is killed when the program ends, as in a container.
 */
export async function openProcessGroup(): Promise<ProcessGroup> {
  const guard = await openGuard();
  const running: RunningProcess[] = [];
  let isClosed = false;

  async function start(spec: ProcessSpec): Promise<RunningProcess> {
    if (isClosed) throw new Error(`cannot start ${spec.name}: its process group is closed`);
    const { child, pid } = await spawnHeld(spec);
    const signal = spec.stopSignal ?? 'SIGTERM';
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once('exit', (code, signalName) => {
        signalGroup(pid, 'SIGKILL');
        running.splice(running.indexOf(started), 1);
        void guard.forget(pid);
        resolve({ code, signal: signalName });
      });
    });
    const started: RunningProcess = {
      name: spec.name,
      pid,
      exited,
      stop: (options) => stopProcess({ child, pid, exited }, { signal, ...options }),
    };
    running.push(started);
    await guard.watch(pid, signal);
    release(child);
    return started;
  }

  async function stopAll(): Promise<void> {
    isClosed = true;
    for (const started of running.slice().reverse()) await started.stop();
    await guard.close();
  }

  return { start, stopAll };
}

// The program waits behind this shell until the guard knows its group: an opener that dies in between closes the pipe, and
// the shell ends without having started anything. The shell's own variables must not reach the program.
const HOLD = 'read -r _ <&3 || exit 1; exec 3<&-; unset PWD OLDPWD SHLVL; exec "$@"';

async function spawnHeld(spec: ProcessSpec): Promise<{ child: ChildProcess; pid: number }> {
  await mkdir(dirname(spec.logFile), { recursive: true });
  const log = await open(spec.logFile, 'a');
  try {
    const child = spawn('/bin/sh', ['-c', HOLD, spec.name, spec.command, ...spec.args], {
      env: spec.env,
      detached: true,
      stdio: ['ignore', log.fd, log.fd, 'pipe'],
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
      ...spec.user,
    });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => reject(new Error(`cannot start ${spec.name}: ${cause.message}`, { cause })));
      child.once('spawn', () => resolve(child.pid as number));
    });
    return { child, pid };
  } finally {
    await log.close();
  }
}

function release(child: ChildProcess): void {
  const pipe = child.stdio[3] as Writable;
  // a program that was stopped before this line has closed the pipe; `exited` tells
  pipe.on('error', () => undefined);
  pipe.end('\n');
}

async function stopProcess(
  target: { child: ChildProcess; pid: number; exited: Promise<ProcessExit> },
  options: { signal: NodeJS.Signals; graceMs?: number },
): Promise<void> {
  const { child, pid, exited } = target;
  if (child.exitCode !== null || child.signalCode !== null) return;
  signalGroup(pid, options.signal);
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), options.graceMs ?? 5000);
  await exited;
  clearTimeout(timer);
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // ESRCH: nobody is left in the group
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
