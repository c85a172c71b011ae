import { join } from 'node:path';
import { kilobytes } from './budget.ts';
import { bundleJobProgram } from './job-program.ts';
import { copyMigrations } from './migration.ts';

/** Bytes that the worker's `main.js` may have: the client of S3 is half of it. About a tenth above what it was. */
export const workerBudget = 1_450_000;

/**
 * Bundles the worker, the program of the Jobs that move data, into `folder`, and into `platform` below it the program that
 * backs up the platform itself, which needs the same tools, and into `sink` the one that staging copies send to. What is wrong
 * with it, each with what to do.
 */
export async function bundleWorker(folder: string): Promise<string[]> {
  const bytes = await bundleJobProgram(join('shared', 'worker', 'main.ts'), folder);
  const platform = join(folder, 'platform');
  await bundleJobProgram(join('scripts', 'fleet', 'platform', 'main.ts'), platform);
  await copyMigrations(platform);
  await bundleJobProgram(join('shared', 'sink', 'main.ts'), join(folder, 'sink'));
  if (bytes <= workerBudget) return [];
  return [
    `worker/main.js has ${kilobytes(bytes)}, its budget is ${kilobytes(workerBudget)}. Import less of what grew, or raise ` +
      'the budget in scripts/build/worker.ts.',
  ];
}
