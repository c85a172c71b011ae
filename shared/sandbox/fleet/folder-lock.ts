import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isAlive } from '#shared/sandbox/is-alive.ts';

/**
 * Takes a fleet's folder for this process; returns what gives it back. The mark of a process that is gone is taken over.
 * @throws Error that names the process that has it.
 */
export async function takeFolder(
  folder: string,
  { advice = 'End it, or choose another --folder.' } = {},
): Promise<() => Promise<void>> {
  const mark = `${folder}.pid`;
  await mkdir(dirname(mark), { recursive: true });
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      await writeFile(mark, String(process.pid), { flag: 'wx' });
      return () => rm(mark, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const pid = Number(await readFile(mark, 'utf8').catch(() => '0'));
    if (pid > 0 && isAlive(pid)) {
      throw new Error(`A fleet runs on ${folder} already (process ${pid}). ${advice}`);
    }
    await rm(mark, { force: true });
  }
  throw new Error(`Could not take ${folder}: another fleet is being started on it.`);
}
