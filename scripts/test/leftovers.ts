import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** A process that outlived the tests that started it. */
export type Leftover = { pid: number; command: string };

// What a killed test run started is ended by its guard within about two seconds.
const defaultGraceMs = 10_000;

/**
 * Ends the processes that work in `folder` (by command line, working directory or environment) and did not end by
 * themselves, and returns them. Linux only; elsewhere it finds none.
 */
export async function endLeftovers(folder: string, options: { graceMs?: number } = {}): Promise<Leftover[]> {
  const deadline = Date.now() + (options.graceMs ?? defaultGraceMs);
  let found = await processesIn(folder);
  while (found.length > 0 && Date.now() < deadline) {
    await pause(100);
    found = await processesIn(folder);
  }
  for (const { pid } of found) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it ended between the two lines
    }
  }
  return found;
}

async function processesIn(folder: string): Promise<Leftover[]> {
  const names = await readdir('/proc').catch(() => []);
  const found: Leftover[] = [];
  for (const name of names) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    // A process that ends while it is read, or of another user, is none of ours.
    const [command, cwd, environment] = await Promise.all([
      readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
      readlink(`/proc/${pid}/cwd`).catch(() => ''),
      readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
    ]);
    if (![command, cwd, environment].some((text) => text.includes(folder))) continue;
    found.push({ pid, command: command.replaceAll('\0', ' ').trim().slice(0, 120) });
  }
  return found;
}
