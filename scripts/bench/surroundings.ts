import { access, chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessGroup } from '#shared/sandbox/processes.ts';

/** What a bench is given. */
export type Surroundings = {
  /** Undefined: the bench's own number. */
  rounds: number | undefined;
  odoo: 'real' | 'stand-in';
  /** For data that is gone afterwards. */
  folder: string;
  /** Ends with the run. */
  processes: ProcessGroup;
  say(message: string): void;
};

/** Not /tmp, which may lie in memory: databases are measured here. */
const workRoot = '/var/tmp';
const workPrefix = 'odoo-fleet-bench-';

/** Makes a folder of this process for data, and removes those of earlier ones that were killed. */
export async function takeWorkFolder(): Promise<string> {
  for (const name of await readdir(workRoot)) {
    const pid = new RegExp(`^${workPrefix}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !(await isRunning(pid))) await rm(join(workRoot, name), { recursive: true, force: true });
  }
  const folder = await mkdtemp(join(workRoot, `${workPrefix}${process.pid}-`));
  // the database servers run as users of their own
  await chmod(folder, 0o711);
  return folder;
}

function isRunning(pid: string): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}

/** Linux counts processor time in ticks of 10 ms (`getconf CLK_TCK`, 100 on every platform Node runs on). */
const tickMs = 10;

/** Processor time a process has used, its own and the kernel's for it. */
export async function processorTimeMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // the name in brackets may hold blanks; 14 and 15 of proc(5) are the 12th and 13th after it
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

/** Resident memory of a process in MiB; 0 when it has ended. */
export async function residentMib(pid: number): Promise<number> {
  try {
    const text = await readFile(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024;
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0;
    throw error;
  }
}
