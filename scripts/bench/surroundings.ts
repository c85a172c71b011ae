import { readFile } from 'node:fs/promises';
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
