import { hash } from 'node:crypto';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Image } from '../image.ts';
import type { FleetMemory } from './memory.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The image reference of the worker that makes and verifies backups. */
export const workerReference = 'odoo-fleet/worker';

/** The group of instances' files, in which the worker runs. */
const odooGroup = 101;

/**
 * That image as the cluster's node runs it: the checkout's own program, with this machine's pg_dump, pg_restore and zstd.
 */
export function workerImage(): Image {
  return {
    kind: 'host',
    entrypoint: [process.execPath, join(root, 'shared/worker/main.ts')],
    env: { NODE_ENV: 'production', NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compile') },
  };
}

/** Where a fleet's backups are: a directory store. */
export function backupFolderOf(fleetFolder: string): string {
  return join(fleetFolder, 'backups');
}

/** Functions run as this process does, workers as Odoo: they share the store by its group. */
export async function makeBackupFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (process.getuid?.() === 0) await chown(folder, 0, odooGroup);
  await chmod(folder, 0o2770);
}

/** The key ring that functions read. */
export function keyRingOf({ backupKey }: Pick<FleetMemory, 'backupKey'>): string {
  return JSON.stringify({ current: 'k1', keys: { k1: backupKey } });
}

/** The one for the secrets of customers' endpoints: another key, of the same memory. */
export function webhookKeyRingOf({ backupKey }: Pick<FleetMemory, 'backupKey'>): string {
  const key = hash('sha256', `webhooks ${backupKey}`, 'base64');
  return JSON.stringify({ current: 'k1', keys: { k1: key } });
}
