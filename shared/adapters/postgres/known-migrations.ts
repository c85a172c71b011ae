import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Names of the migrations that this version brings, in their order. They lie in a folder beside this file, or its bundle. */
export async function knownMigrations(): Promise<string[]> {
  const files = await readdir(join(import.meta.dirname, 'migrations'));
  return files
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.slice(0, -'.sql'.length))
    .toSorted();
}
