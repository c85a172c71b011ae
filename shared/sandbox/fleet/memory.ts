import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { generatePassword } from '#shared/sandbox/servers/password.ts';

/** What a fleet on one machine must find again when it is started a second time. */
export type FleetMemory = {
  /** Passwords of the platform's role and of the Odoo servers' admin. */
  platformPassword: string;
  odooAdminPassword: string;
  redisPassword: string;
  /** Wraps the keys of backups: 32 bytes as base64. Without it no earlier backup can be read. */
  backupKey: string;
  /** Written into instances' configuration, so they must not change. Undefined until the first start. */
  odooPostgresPorts?: readonly number[];
  verificationPort?: number;
  ingressPort?: number;
};

/** Reads what an earlier start noted, or makes it. The file is for its owner only. */
export async function recallMemory(file: string): Promise<FleetMemory> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const fresh = {
    platformPassword: generatePassword(),
    odooAdminPassword: generatePassword(),
    redisPassword: generatePassword(),
    backupKey: randomBytes(32).toString('base64'),
  };
  // of an earlier version: it had no backups yet
  return text === undefined ? fresh : { ...fresh, ...(JSON.parse(text) as FleetMemory) };
}

/** Writes it in one piece. */
export async function keepMemory(file: string, memory: FleetMemory): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, JSON.stringify(memory, null, 2), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
