import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { generatePassword } from '#shared/sandbox/servers/password.ts';

/** What a fleet on one machine must find again when it is started a second time. */
export type FleetMemory = {
  /** Passwords of the platform's role and of the Odoo servers' admin. */
  platformPassword: string;
  odooAdminPassword: string;
  redisPassword: string;
  /** Written into instances' configuration, so they must not change. Undefined until the first start. */
  odooPostgresPorts?: readonly number[];
  ingressPort?: number;
};

/** Reads what an earlier start noted, or makes it. The file is for its owner only. */
export async function recallMemory(file: string): Promise<FleetMemory> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text !== undefined) return JSON.parse(text) as FleetMemory;
  return {
    platformPassword: generatePassword(),
    odooAdminPassword: generatePassword(),
    redisPassword: generatePassword(),
  };
}

/** Writes it in one piece. */
export async function keepMemory(file: string, memory: FleetMemory): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, JSON.stringify(memory, null, 2), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
