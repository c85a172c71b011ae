import { execFile } from 'node:child_process';
import { access, readdir, readFile, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { findDaemon, signal, stopDaemon } from './daemons.ts';
import { daemonPrograms } from './node-daemons.ts';
import { addresses, containerdSocket, newPlaces, type Places, runFolder } from './places.ts';
import { changeMachine, runningDaemons, runningPlaces, withClusterLock } from './running.ts';

const run = promisify(execFile);

/**
 * Ends the machine's cluster, also one that came up half or has died, and puts the machine back as it was. Images and
 * programs stay; objects do not. `isWiped` removes the images, too. Returns false when there was nothing to end.
 */
export async function takeDownCluster(options: { say(line: string): void; isWiped?: boolean }): Promise<boolean> {
  return withClusterLock(async () => {
    const places = (await runningPlaces()) ?? newPlaces();
    const isEnded = await clearLeftovers(options);
    if (options.isWiped) await removeTree(places.data);
    return isEnded;
  });
}

/**
 * Ends what runs of a cluster and clears what one has left that was killed, also on another machine: a cache that is kept
 * may hold the state of a cluster that ran when it was copied. Returns false when there was nothing.
 * The caller holds the lock.
 */
export async function clearLeftovers(options: { say(line: string): void }): Promise<boolean> {
  const known = await runningPlaces();
  const fresh = newPlaces();
  const isEnded = known !== undefined || (await runningDaemons()).size > 0;
  if (isEnded) await takeDown(known ?? fresh, options);
  if (!(await exists(fresh.state))) return isEnded;
  options.say('clearing the state of a cluster that was not taken down, and its images, which may be half-written');
  await changeMachine('unmount', [fresh.data]);
  await removeTree(fresh.data);
  return true;
}

/** Ends the cluster in these places. The caller holds the lock. */
export async function takeDown(places: Places, { say }: { say(line: string): void }): Promise<void> {
  const stop = async (graceMs: number, names: readonly string[]) => {
    for (const daemon of daemonPrograms) if (names.includes(daemon.name)) await stopDaemon(daemon, { graceMs });
  };
  // First what would start containers again.
  await stop(10_000, ['kubelet', 'scheduler', 'controller-manager']);
  await endContainers(places);
  say('containers are gone');
  await stop(10_000, ['proxy', 'containerd']);
  // Their state is thrown away.
  await stop(500, ['apiserver', 'etcd']);
  say('daemons are gone');
  await changeMachine('restore', [runFolder, addresses.bridge, places.data]);
  await removeTree(places.state);
  await removeTree(places.temporary);
  await rm(runFolder, { recursive: true, force: true });
}

/** A program may ignore SIGTERM for minutes, so containers are removed by containerd and not by the API. */
async function endContainers({ imageStore }: Places): Promise<void> {
  const containerd = daemonPrograms.find(({ name }) => name === 'containerd');
  if (containerd !== undefined && (await findDaemon(containerd)) !== undefined) {
    const remove = (name: string) => ctr(['tasks', 'rm', '-f', name]).then(() => ctr(['containers', 'rm', name]));
    await Promise.all((await ctr(['containers', 'ls', '-q'])).map(remove));
  }
  const deadline = Date.now() + 5_000;
  let left = await shims();
  while (left.length > 0 && Date.now() < deadline) {
    await pause(100);
    left = await shims();
  }
  // Without containerd nobody else ends them. What runs in a container goes with the process that is its init.
  for (const shim of left) signal(shim, 'SIGKILL');
  for (const pid of await contained(imageStore)) signal(pid, 'SIGKILL');
}

/** A containerd that hangs or has lost a container must not hold up the rest. */
async function ctr(args: readonly string[]): Promise<string[]> {
  const all = ['-a', containerdSocket, '-n', 'k8s.io', ...args];
  const { stdout } = await run('ctr', all, { timeout: 10_000 }).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter(Boolean);
}

/** The keepers of this containerd's containers and of no other: their command line names its socket. */
async function shims(): Promise<number[]> {
  return processesWith('cmdline', (text) => {
    const words = text.split('\0');
    return (words[0]?.endsWith('containerd-shim-runc-v2') ?? false) && words.includes(containerdSocket);
  });
}

/** What runs in a container of this image store, also when its shim is gone. */
async function contained(imageStore: string): Promise<number[]> {
  return processesWith('mountinfo', (text) => isRootedIn(imageStore, text));
}

/**
 * Is the root of a process, by its `/proc/PID/mountinfo`, a layer of this store? The machine's own processes see the roots
 * of containers, too, but not as their own.
 */
export function isRootedIn(imageStore: string, mountinfo: string): boolean {
  const lines = mountinfo.split('\n');
  return lines.some((line) => line.split(' ')[4] === '/' && line.includes(`,upperdir=${imageStore}/`));
}

async function processesWith(file: string, isMeant: (text: string) => boolean): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // Empty for a process that has ended meanwhile.
    if (isMeant(await readFile(`/proc/${name}/${file}`, 'utf8').catch(() => ''))) found.push(Number(name));
  }
  return found;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
