import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withBuildLock } from '#shared/sandbox/go/build-lock.ts';
import { type DaemonProcess, findDaemons } from './daemons.ts';
import { type DaemonName, daemonPrograms } from './node-daemons.ts';
import { type Places, placesIn, runFolder } from './places.ts';

const run = promisify(execFile);
const script = join(import.meta.dirname, 'machine.sh');
const dataFile = join(runFolder, 'data-folder');

/** Taking the cluster up from nothing, with all builds. */
const lockTimeoutMs = 60 * 60_000;

/** One at a time takes the machine's cluster up or down. */
export function withClusterLock<T>(work: () => Promise<T>): Promise<T> {
  return withBuildLock(`${runFolder}.lock`, work, { timeoutMs: lockTimeoutMs });
}

/** Of the cluster that runs on this machine, or was not taken down; undefined when there is none. */
export async function runningPlaces(): Promise<Places | undefined> {
  const data = await readFile(dataFile, 'utf8').catch(() => undefined);
  return data === undefined ? undefined : placesIn(data);
}

/** Noted before the machine is changed, so that a cluster that did not come up can be taken down. */
export async function noteRunning(places: Places): Promise<void> {
  await mkdir(runFolder, { recursive: true, mode: 0o755 });
  await writeFile(`${dataFile}.new`, places.data);
  await rename(`${dataFile}.new`, dataFile);
}

/** Those of the daemons that run. */
export function runningDaemons(): Promise<Map<DaemonName, DaemonProcess>> {
  return findDaemons(daemonPrograms);
}

/** Runs machine.sh. @throws Error with what it said. */
export async function changeMachine(
  command: 'prepare' | 'open' | 'unmount' | 'restore',
  args: readonly string[],
): Promise<void> {
  await run('bash', [script, command, ...args]).catch((cause: Error & { stderr?: string }) => {
    const message = (cause.stderr ?? cause.message).trim().split('\n').slice(-3).join('\n');
    throw new Error(`the machine could not be changed (${command}): ${message}`, { cause });
  });
}
