import { lstat, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import type { TidyOrder } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { TaskContext } from './task.ts';

/** Removes the folders of the order: sides that restores took out, and nothing else. One that is gone is none. */
export async function tidy({ instanceId, folders }: TidyOrder, { signal }: Pick<TaskContext, 'signal'>): Promise<void> {
  for (const folder of folders) {
    signal.throwIfAborted();
    if (!basename(folder).startsWith(`old_${instanceId}_`)) {
      throw new Failure('misconfigured', `${basename(folder)} is no folder that a restore of the instance took out.`);
    }
    const found = await lstat(folder).catch(() => undefined);
    // of a link only itself goes
    if (found !== undefined) await rm(folder, { recursive: true, force: true });
  }
}
