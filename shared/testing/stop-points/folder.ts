import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PassedPoint, Stop } from './counter.ts';

/** The environment variable that names the folder of a process under test. */
export const folderVariable = 'STOP_POINTS';

/** In the folder: where to stop. The process that takes it renames it, so that only one stops, and once. */
export const stopFile = 'stop.json';
/** In the folder: the points passed, a JSON document per line. */
export const pointsFile = 'points.jsonl';

const preload = new URL('./preload.ts', import.meta.url).href;

/** Makes the folder of one process under test; without a stop it only counts. */
export async function makeStopFolder(folder: string, ...stops: Stop[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (stops.length > 0) await writeFile(join(folder, stopFile), JSON.stringify(stops));
}

/** What a program's environment needs on top for its stop points to be counted. */
export function stopPointEnvironment(folder: string): Record<string, string> {
  return { NODE_OPTIONS: `--import ${preload}`, [folderVariable]: folder };
}

/** The points a process has passed so far. */
export async function readPoints(folder: string): Promise<PassedPoint[]> {
  const text = await readFile(join(folder, pointsFile), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as PassedPoint);
}

/** Is a process stopped by SIGSTOP? Linux's /proc says so. One that is gone is not. */
export function isStopped(pid: number): boolean {
  try {
    return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
