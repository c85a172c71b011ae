import { setTimeout as delay } from 'node:timers/promises';
import type { FunctionHosts } from '#shared/sandbox/functions/hosts.ts';
import { residentMib } from '../surroundings.ts';

const everyMs = 50;

export type PeakMemory = { mib: number; processes: number };

/** Looks at the memory of all functions' processes until it is stopped, and keeps the highest sum. */
export function watchMemory(functions: FunctionHosts): { stop(): Promise<PeakMemory> } {
  const over = new AbortController();
  const peak: PeakMemory = { mib: 0, processes: 0 };
  const look = async () => {
    while (!over.signal.aborted) {
      const sizes = await Promise.all(functions.running().map(({ pid }) => residentMib(pid)));
      peak.mib = Math.max(
        peak.mib,
        sizes.reduce((sum, size) => sum + size, 0),
      );
      peak.processes = Math.max(peak.processes, sizes.length);
      await delay(everyMs);
    }
  };
  const looking = look();
  return {
    async stop() {
      over.abort();
      await looking;
      return peak;
    },
  };
}
