import * as v from 'valibot';
import { type WorkerProgress, workerProgressSchema } from './manifest.ts';

const progressText = v.pipe(v.string(), v.parseJson(), workerProgressSchema);

/** How far a Job says it is. It is for people and unsigned: what cannot be read is none. */
export function readProgress(bytes: Buffer): WorkerProgress | undefined {
  const parsed = v.safeParse(progressText, bytes.toString('utf8'));
  return parsed.success ? parsed.output : undefined;
}
