import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { legacySecretKey } from '#shared/adapters/postgres/legacy-server.ts';
import type { Config } from './config.ts';
import { knownSecrets } from './known-secrets.ts';
import type { odooServers } from './rows.ts';

/**
 * Finds the admin's password of an Odoo server: the file of that key in the mounted Secret, or the older setting for
 * the older platform's server. Read at every new connection, so that a rotated Secret needs no restart.
 */
export function odooAdminPasswords(config: Config<typeof odooServers>): (secretKey: string) => string | undefined {
  return (secretKey) => {
    const password = secretKey === legacySecretKey ? config.legacyPassword : readKey(config, secretKey);
    if (password !== undefined) knownSecrets.add(password);
    return password;
  };
}

function readKey(config: Config<typeof odooServers>, secretKey: string): string | undefined {
  // The column's check allows no slash; a name of dots alone would still leave the folder.
  if (config.odooPasswordsFolder === undefined || !/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(secretKey)) return undefined;
  try {
    return readFileSync(join(config.odooPasswordsFolder, secretKey), 'utf8').replace(/\n$/, '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
