import type { Stats } from 'node:fs';
import { lstat, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSwapWord, type SwapWord, sealSwapWord, swapNames } from '#shared/domain/backup/load-result.ts';
import { resultSigner } from '#shared/domain/backup/manifest.ts';
import type { SwapOrder } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import { retrying } from './store-files.ts';
import type { TaskContext } from './task.ts';
import { onDisk } from './write-file.ts';

/** A customer waits between the word and its result. */
const pollMs = 40;
/** The word comes within seconds: whoever is to give it was killed otherwise, and another one is about to. */
const patienceMs = 15 * 60_000;

/**
 * Says that it is ready, waits for the word, exchanges the folders, and says that it has. What needs room on the volume is
 * written before it says that it is ready: after the word the renames alone are left, which a full volume lets through.
 */
export async function swap(order: SwapOrder, { store, signal, say }: TaskContext): Promise<void> {
  // while the old side is whole and live, and a refusal costs nothing
  const { isLive, isIncoming } = await lookAtFolders(order.folders);
  if (isLive && isIncoming) await markIfFolder(order.folders.live);
  await retrying(signal, () => store.put(`${order.prefix}/${swapNames.ready}`, Buffer.from('ready')));
  say('Ready to exchange the folders.');
  await waitForWord(order, { store, signal });
  await swapFolders(order.folders);
  const { instanceId, operationId, attempt } = order;
  const word: SwapWord = { version: 1, instanceId, operationId, attempt };
  const sealed = sealSwapWord(word, 'swap-result', resultSigner(order));
  await retrying(signal, () => store.put(`${order.prefix}/${swapNames.result}`, sealed));
}

async function waitForWord(order: SwapOrder, { store, signal }: Pick<TaskContext, 'store' | 'signal'>): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const bytes = await retrying(signal, () => store.get(`${order.prefix}/${swapNames.go}`));
    if (bytes !== undefined) return void openSwapWord(bytes, 'swap-go', order);
    if (Date.now() > deadline) {
      const text = 'Nobody said within 15 minutes that the folders are to be exchanged: nothing was.';
      throw new Failure('unavailable', text);
    }
    await sleep(pollMs, undefined, { signal });
  }
}

type Found = { isLive: boolean; isIncoming: boolean; isOutgoing: boolean };

/** @throws Failure `foreign-object` when the folders are in no state that the renames below leave. */
async function lookAtFolders({ live, incoming, outgoing }: SwapOrder['folders']): Promise<Found> {
  const [isLive = false, isIncoming = false, isOutgoing = false] = await Promise.all(
    [live, incoming, outgoing].map(async (path) => (await find(path)) !== undefined),
  );
  const isDone = isLive && !isIncoming && isOutgoing;
  if (isDone || (isIncoming && !(isLive && isOutgoing))) return { isLive, isIncoming, isOutgoing };
  const there = { live: isLive, incoming: isIncoming, outgoing: isOutgoing };
  throw new Failure('foreign-object', `The folders of the filestore are not as they were left: ${tell(there)}.`);
}

/**
 * Two renames, each of which a Job before may have done. An instance that never stored a file has no live folder: what is
 * kept of it is an empty one. The tenant's code could write to the volume before: whatever it has put under these names is
 * renamed as it is, a link as a link, and nothing is followed.
 */
export async function swapFolders(folders: SwapOrder['folders']): Promise<void> {
  const { live, incoming, outgoing } = folders;
  const { isLive, isIncoming, isOutgoing } = await lookAtFolders(folders);
  if (!isIncoming) return;
  try {
    if (isLive) await moveOut(live, outgoing);
    else if (!isOutgoing) await makeOut(outgoing);
    await keepNames(dirname(live));
    await rename(incoming, live);
    await keepNames(dirname(live));
  } catch (error) {
    const text = 'Another Job exchanged the folders at the same moment, or the volume went away: look again.';
    throw new Failure('unavailable', text, { cause: error });
  }
}

/** In the folder that goes out, so that it is never empty: a rename onto an empty folder takes its place. */
const outMark = '.went-out';

async function makeOut(outgoing: string): Promise<void> {
  await mkdir(outgoing, { recursive: true });
  await leaveMark(outgoing);
}

async function moveOut(live: string, outgoing: string): Promise<void> {
  await markIfFolder(live);
  await rename(live, outgoing);
}

async function markIfFolder(folder: string): Promise<void> {
  if ((await find(folder))?.isDirectory()) await onDisk(folder, () => leaveMark(folder));
}

async function leaveMark(folder: string): Promise<void> {
  const path = join(folder, outMark);
  const found = await find(path);
  if (found?.isFile()) return;
  // where nothing was: never one that another Job has written in between
  if (found !== undefined) await rm(path, { recursive: true, force: true });
  await writeFile(path, '', { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

const tell = (there: Record<string, boolean>) =>
  Object.entries(there)
    .map(([name, isThere]) => `${name} ${isThere ? 'is there' : 'is not'}`)
    .join(', ');

/** What is there under the name itself, not where it may lead. */
async function find(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** So that the order of the renames outlives a power cut. */
async function keepNames(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
