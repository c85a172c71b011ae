import { execFile } from 'node:child_process';
import { readdir, readFile, rm } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { findDaemon, signal, stopDaemon } from './daemons.ts';
import { daemonPrograms } from './node-daemons.ts';
import { addresses, containerdSocket, type Places, runFolder } from './places.ts';
import { changeMachine, runningPlaces, withClusterLock } from './running.ts';

const run = promisify(execFile);

/**
 * Ends the machine's cluster, also one that came up half or has died, and puts the machine back as it was. Images and
 * programs stay; objects do not. `isWiped` removes the images, too. Returns false when there was nothing to end.
 */
export async function takeDownCluster(options: { say(line: string): void; isWiped?: boolean }): Promise<boolean> {
  return withClusterLock(async () => {
    const places = await runningPlaces();
    if (places === undefined) return false;
    await takeDown(places, options);
    if (options.isWiped) await removeTree(places.data);
    return true;
  });
}

/** The same without the lock, which the caller holds. */
export async function takeDown(places: Places, { say }: { say(line: string): void }): Promise<void> {
  const stop = async (graceMs: number, names: readonly string[]) => {
    for (const daemon of daemonPrograms) if (names.includes(daemon.name)) await stopDaemon(daemon, { graceMs });
  };
  // First what would start containers again.
  await stop(10_000, ['kubelet', 'scheduler', 'controller-manager']);
  await endContainers();
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
async function endContainers(): Promise<void> {
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
  // Without containerd nobody else ends them. What runs in their containers goes with the process that is their init.
  for (const shim of left) for (const child of await childrenOf(shim)) signal(child, 'SIGKILL');
  for (const shim of left) signal(shim, 'SIGKILL');
}

/** A containerd that hangs or has lost a container must not hold up the rest. */
async function ctr(args: readonly string[]): Promise<string[]> {
  const all = ['-a', containerdSocket, '-n', 'k8s.io', ...args];
  const { stdout } = await run('ctr', all, { timeout: 10_000 }).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter(Boolean);
}

/** The keepers of this containerd's containers and of no other: their command line names its socket. */
async function shims(): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words[0]?.endsWith('containerd-shim-runc-v2') && words.includes(containerdSocket)) found.push(Number(name));
  }
  return found;
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}
