import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BrokerEvent, toStructured } from './event.ts';

/**
 * Keeps a dead letter as a structured CloudEvent in `<folder>/<trigger>-<hash of source and id>.json`, and returns that path.
 * The same event twice is one file.
 */
export async function writeDeadLetter(folder: string, trigger: string, event: BrokerEvent): Promise<string> {
  const { source = '', id = '' } = event.attributes;
  const hash = createHash('sha256').update(`${source}\n${id}`).digest('hex').slice(0, 16);
  const path = join(folder, `${trigger}-${hash}.json`);
  await mkdir(folder, { recursive: true });
  await writeFile(path, `${JSON.stringify(toStructured(event), undefined, 2)}\n`, { flush: true });
  return path;
}
