import { appendFile, readFile } from 'node:fs/promises';
import type { LifeResult } from './life-case.ts';

/** Where results are kept, so that a long run that was broken off goes on where it was; nowhere unless it is set. */
const file = process.env['CRASH_RESULTS'];

/** Keeps a result at once. What the instance was left as is in `why`, as far as it matters. */
export async function keepResult(result: LifeResult): Promise<void> {
  if (file === undefined) return;
  await appendFile(file, `${JSON.stringify({ ...result, state: {} })}\n`);
}

/** Results of an earlier run that need not be tried again: killed, and as wanted. */
export async function earlierResults(): Promise<LifeResult[]> {
  if (file === undefined) return [];
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const lines = text.split('\n').filter((line) => line !== '');
  const results = lines.map((line) => JSON.parse(line) as LifeResult);
  return results.filter(({ kills, why }) => kills > 0 && why.length === 0);
}
