import { spawn } from 'node:child_process';
import { open, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Its value in a process's environment names the daemon; so it is found again without a file that could be wrong. */
const mark = 'ODOO_FLEET_CLUSTER';

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export type Daemon = { name: string; command: string; args: readonly string[] };

export type DaemonProcess = { pid: number; residentMib: number };

/**
 * Starts a program that outlives this process, unless it runs already. What it prints is appended to `<logs>/<name>.log`.
 * Nothing is inherited from this process's environment. When it ends before this process, `onEnd` is told its signal or code.
 */
export async function startDaemon(
  daemon: Daemon,
  options: { logs: string; cwd: string; onEnd?: (how: string) => void },
): Promise<void> {
  const { name, command, args } = daemon;
  if ((await findDaemon(daemon)) !== undefined) return;
  const log = await open(join(options.logs, `${name}.log`), 'a');
  try {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { PATH: path, HOME: options.cwd, [mark]: name },
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
    });
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.once('exit', (code, signal) => options.onEnd?.(signal ?? `exit code ${code}`));
    child.unref();
  } finally {
    await log.close();
  }
}

/** Undefined when it does not run. A process that has ended and is not collected yet does not run. */
export async function findDaemon(daemon: Pick<Daemon, 'name' | 'command'>): Promise<DaemonProcess | undefined> {
  return (await findDaemons([daemon])).get(daemon.name);
}

/** Those that run, by their names. */
export async function findDaemons<Name extends string>(
  daemons: readonly { name: Name; command: string }[],
): Promise<Map<Name, DaemonProcess>> {
  const found = new Map<Name, DaemonProcess>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // What a daemon starts inherits the mark, but is another program.
    const program = basename((await read(`/proc/${name}/cmdline`)).split('\0')[0] ?? '');
    const named = daemons.filter(({ command }) => basename(command) === program);
    if (named.length === 0) continue;
    const environment = (await read(`/proc/${name}/environ`)).split('\0');
    const daemon = named.find((one) => environment.includes(`${mark}=${one.name}`));
    if (daemon === undefined) continue;
    const resident = /VmRSS:\s+(\d+)/.exec(await read(`/proc/${name}/status`))?.[1];
    found.set(daemon.name, { pid: Number(name), residentMib: Math.round(Number(resident ?? 0) / 1024) });
  }
  return found;
}

/** Asks it to end; after `graceMs` it is killed. Harmless when it does not run. */
export async function stopDaemon(
  daemon: Pick<Daemon, 'name' | 'command'>,
  options: { graceMs: number },
): Promise<void> {
  const deadline = Date.now() + options.graceMs;
  let found = await findDaemon(daemon);
  if (found === undefined) return;
  signal(found.pid, 'SIGTERM');
  while ((found = await findDaemon(daemon)) !== undefined) {
    if (Date.now() > deadline) signal(found.pid, 'SIGKILL');
    await pause(100);
  }
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Empty for a process that has ended meanwhile. */
async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
