import { open } from 'node:fs/promises';
import { oneLine } from '#shared/domain/one-line.ts';

const longestLine = 500;
const readBytes = 256 * 1024;

/** The words of klog (`I1122 12:00:00 ...`), containerd and etcd for what is only told. */
const isTold = /^[ID]\d{4} |\blevel=(?:info|debug)\b|"(?:level|severity)":"(?:info|debug)"/i;
const isPanic = /^(?:panic|fatal error): /;

const secrets: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----.*/g, '(a key)'],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '(a token)'],
  [/\b(Bearer|Basic) +[\w.~+/=-]+/gi, '$1 (hidden)'],
  [/\b([\w-]*(?:password|passwd|secret|token|key-data))(["']?\s*[=:]\s*\\?["']?)[^\s"',}\\]+/gi, '$1$2(hidden)'],
];

/**
 * The last lines of a daemon's log that say what is wrong: warnings and errors, or a panic from its start, where its reason
 * is. All lines count when there are none of these. What is repeated comes once. Without what could be a secret.
 */
export function tellingLines(text: string, count: number): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const panic = lines.findLastIndex((line) => isPanic.test(line));
  const warnings = lines.filter((line) => !isTold.test(line));
  const found = panic >= 0 ? lines.slice(panic, panic + count) : onceEach(warnings.length > 0 ? warnings : lines);
  return (panic >= 0 ? found : found.slice(-count)).map(printable);
}

/** A daemon that repeats itself would fill the place of what it said before: of such lines the last stays, with a count. */
function onceEach(lines: readonly string[]): string[] {
  const last = new Map<string, { line: string; times: number }>();
  for (const line of lines) {
    const words = line.replace(/^[A-Z]\d{4} [\d:.]+ +\d+ /, '').replace(/\btime="[^"]*"|"ts":"[^"]*"/, '');
    const times = (last.get(words)?.times ?? 0) + 1;
    last.delete(words);
    last.set(words, { line, times });
  }
  return [...last.values()].map(({ line, times }) => (times === 1 ? line : `${line} (${times} times)`));
}

function printable(line: string): string {
  const hidden = secrets.reduce((text, [pattern, word]) => text.replace(pattern, word), line);
  return oneLine(hidden, longestLine);
}

/** The end of a log, however long it is; empty when there is none. */
export async function readLogEnd(file: string): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const { size } = await handle.stat();
    const start = Math.max(0, size - readBytes);
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size - start), position: start });
    const text = buffer.toString('utf8', 0, bytesRead);
    // Its first line may be cut, in the middle of what must not be shown.
    return start === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    await handle.close();
  }
}
