import { homedir } from 'node:os';
import { join } from 'node:path';

/** Folder for what is downloaded or built once per machine. It may be deleted at any time. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const own = environment['FLEET_CACHE'];
  if (own) return own;
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'odoo-fleet');
}
