import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isAlive } from './is-alive.ts';

/**
 * Where downloaded and built things lie: `FLEET_CACHE`, else `$XDG_CACHE_HOME/odoo-fleet`, else `~/.cache/odoo-fleet`.
 * It is outside the checkout, so that a fresh clone on the same machine starts quickly. It may be deleted at any time.
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['FLEET_CACHE']) return env['FLEET_CACHE'];
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'odoo-fleet');
}

/**
 * Returns the folder of entry `key` (a relative path that carries the versions it depends on). A missing entry is made by
 * `make` in a temporary folder and appears by one rename: never half made. When two make the same entry at once, the first
 * to finish wins and both use its result. Entries are not changed after they were made.
 */
export async function withCacheEntry(
  key: string,
  make: (folder: string) => Promise<void>,
  options: { cache?: string } = {},
): Promise<string> {
  const cache = options.cache ?? cacheFolder();
  const entry = join(cache, key);
  if (await exists(entry)) return entry;
  const making = join(cache, 'making');
  await mkdir(dirname(entry), { recursive: true }).catch(refuse(cache));
  await mkdir(making, { recursive: true }).catch(refuse(cache));
  await removeAbandoned(making);
  const unfinished = join(making, `${process.pid}-${randomBytes(6).toString('hex')}`);
  await mkdir(unfinished).catch(refuse(cache));
  try {
    await make(unfinished);
    // the folder of the entry may have been deleted meanwhile
    await mkdir(dirname(entry), { recursive: true });
    await rename(unfinished, entry);
  } catch (error) {
    await removeTree(unfinished);
    if (!isTaken(error) || !(await exists(entry))) throw error;
  }
  return entry;
}

/** Removes a folder and all in it, but nothing that is mounted inside it from elsewhere. */
export async function removeTree(folder: string): Promise<void> {
  await promisify(execFile)('rm', ['-rf', '--one-file-system', '--', folder]);
}

/** Folders of makers that were killed. */
async function removeAbandoned(making: string): Promise<void> {
  for (const name of await readdir(making)) {
    const maker = Number(name.split('-')[0]);
    if (Number.isInteger(maker) && !isAlive(maker)) await removeTree(join(making, name)).catch(() => undefined); // another user's: theirs to remove
  }
}

function isTaken(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST'].includes(String((error as NodeJS.ErrnoException).code));
}

function refuse(cache: string): (cause: Error) => never {
  return (cause) => {
    throw new Error(
      `cannot write to the cache folder ${cache}: ${cause.message}. Set FLEET_CACHE to a folder you may write to`,
      {
        cause,
      },
    );
  };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
