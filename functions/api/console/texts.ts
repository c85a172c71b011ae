import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const read = new Map<string, string>();

/** The text of a file of this folder. In a built function it lies in the bundle: scripts/build/console-texts.ts. */
export function consoleText(name: string): string {
  const text = read.get(name) ?? readFileSync(join(import.meta.dirname, name), 'utf8');
  read.set(name, text);
  return text;
}
