import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Runs `work` while holding a lock folder, so that two processes never do it at once.
 * A lock whose holder has died (kill -9, power loss) is taken over.
 * @throws when the lock is still held by a living process after `timeoutMs`.
 */
export async function withBuildLock<T>(
  lockFolder: string,
  work: () => Promise<T>,
  options: { timeoutMs: number },
): Promise<T> {
  await acquire(lockFolder, Date.now() + options.timeoutMs);
  try {
    return await work();
  } finally {
    await bury(lockFolder);
  }
}

/** Renamed first: a folder that is being emptied would be taken by the next one's rename while it is removed. */
async function bury(lockFolder: string): Promise<void> {
  const grave = `${lockFolder}.over.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await rename(lockFolder, grave).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await rm(grave, { recursive: true, force: true });
}

async function acquire(lockFolder: string, deadline: number): Promise<void> {
  await mkdir(dirname(lockFolder), { recursive: true });
  // The folder appears complete, by rename: a lock without its holder's name is never seen.
  const mine = `${lockFolder}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await mkdir(mine);
  await writeFile(join(mine, 'holder'), `${process.pid} ${await processBorn(process.pid)}`);
  for (;;) {
    try {
      await rename(mine, lockFolder);
      return;
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
    await removeIfHolderIsDead(lockFolder);
    if (Date.now() > deadline) {
      await rm(mine, { recursive: true, force: true });
      throw new Error(`another process still builds: ${lockFolder} (its holder file names the process)`);
    }
    await pause(250);
  }
}

async function removeIfHolderIsDead(lockFolder: string): Promise<void> {
  const holder = await readFile(join(lockFolder, 'holder'), 'utf8').catch(() => undefined);
  if (holder === undefined) return;
  const [pid, born] = holder.split(' ');
  if (born !== '' && (await processBorn(Number(pid))) === born) return;
  await bury(lockFolder);
}

/** Start time of a process in clock ticks since boot, so that a reused process id is not taken for the old one. */
async function processBorn(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function isTaken(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOTEMPTY' || code === 'EEXIST';
}
