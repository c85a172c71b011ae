import { readdir, readFile } from 'node:fs/promises';

/** Linux counts in ticks of 10 ms (`getconf CLK_TCK`). */
const tickMs = 10;

/** Processor time that this process and all it has started have used, those that have ended among them. */
export async function processorTimeOfAllMs(): Promise<number> {
  const entries = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(readStat));
  const all = new Map(entries.filter((entry) => entry !== undefined).map((entry) => [entry.pid, entry]));
  const isOurs = (pid: number): boolean => {
    if (pid === process.pid) return true;
    const parent = all.get(pid)?.parent;
    return parent !== undefined && parent !== 0 && isOurs(parent);
  };
  let ticks = 0;
  for (const entry of all.values()) if (isOurs(entry.pid)) ticks += entry.ticks;
  return ticks * tickMs;
}

/** Processor time that one process has used. */
export async function processorTimeOfMs(pid: number): Promise<number> {
  return ((await readStat(String(pid)))?.ticks ?? 0) * tickMs;
}

async function readStat(pid: string): Promise<{ pid: number; parent: number; ticks: number } | undefined> {
  // it may have ended by now
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // the name in brackets may hold blanks; proc(5) counts the parent as 4, the times of its own and of ended children as 14 to 17
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid: Number(pid), parent: Number(fields[1]), ticks };
}
