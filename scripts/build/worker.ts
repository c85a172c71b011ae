import { join } from 'node:path';
import { kilobytes } from './budget.ts';
import { bundleJobProgram } from './job-program.ts';

/** Bytes that the worker's `main.js` may have: the client of S3 is half of it. About a tenth above what it was. */
export const workerBudget = 1_300_000;

/** Bundles the worker, the program of the Jobs that move data, into `folder`. What is wrong with it, each with what to do. */
export async function bundleWorker(folder: string): Promise<string[]> {
  const bytes = await bundleJobProgram(join('shared', 'worker', 'main.ts'), folder);
  if (bytes <= workerBudget) return [];
  return [
    `worker/main.js has ${kilobytes(bytes)}, its budget is ${kilobytes(workerBudget)}. Import less of what grew, or raise ` +
      'the budget in scripts/build/worker.ts.',
  ];
}
