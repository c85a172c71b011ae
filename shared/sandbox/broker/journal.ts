import { type FileHandle, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BrokerEvent } from './event.ts';

/** One event in one queue. */
export type Entry = { number: number; queue: string; event: BrokerEvent };

/** What the broker still owes, kept so that it survives the broker. */
export type Journal = {
  /** What an earlier broker on this folder accepted and did not finish, oldest first. */
  pending: readonly Entry[];
  /**
   * Puts an event into queues, and in the same write takes away the entry it replaces. Resolves when that is on disk;
   * @throws Error when it could not be written, and from then on always.
   */
  put(event: BrokerEvent, queues: readonly string[], options?: { replaces?: number }): Promise<Entry[]>;
  /** Takes an entry away. Not waited for: a crash before it is written means one more delivery. */
  remove(number: number): void;
  close(): Promise<void>;
};

/** One line of the file. */
type Line = { event?: BrokerEvent; to?: [number: number, queue: string][]; removed?: number };

// Rewritten when it is larger than this and mostly of no use any more.
const REWRITE_BYTES = 16 * 1024 * 1024;

/** Opens the journal `journal.jsonl` in a folder that exists. Many puts at once share one fsync. */
export async function openJournal(folder: string): Promise<Journal> {
  const path = join(folder, 'journal.jsonl');
  const live = new Map<number, Entry>();
  for (const line of await readLines(path)) applyLine(live, line);
  let next = Math.max(0, ...live.keys()) + 1;
  let file = await rewrite(path, live.values());
  let bytes = 0;
  let waiting: { text: string; done?: PromiseWithResolvers<void> }[] = [];
  let flushing: Promise<void> | undefined;
  let broken: Error | undefined;

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        if (broken !== undefined) throw broken;
        const text = batch.map((item) => item.text).join('');
        await file.appendFile(text);
        // removals alone need no fsync: losing one costs a second delivery
        if (batch.some(({ done }) => done !== undefined)) await file.datasync();
        bytes += text.length;
        if (bytes > REWRITE_BYTES) await shrink();
        for (const { done } of batch) done?.resolve();
      } catch (cause) {
        broken = new Error(`cannot write ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
          cause,
        });
        for (const { done } of batch) done?.reject(broken);
      }
    }
    flushing = undefined;
  }

  async function shrink(): Promise<void> {
    await file.close();
    file = await rewrite(path, live.values());
    bytes = 0;
  }

  function write(line: Line, done?: PromiseWithResolvers<void>): void {
    applyLine(live, line);
    waiting.push({ text: `${JSON.stringify(line)}\n`, ...(done === undefined ? {} : { done }) });
    flushing ??= flush();
  }

  return {
    pending: [...live.values()],
    async put(event, queues, options = {}) {
      const entries = queues.map((queue): Entry => ({ number: next++, queue, event }));
      const line: Line = { event, to: entries.map(({ number, queue }) => [number, queue]) };
      if (options.replaces !== undefined) line.removed = options.replaces;
      const done = Promise.withResolvers<void>();
      write(line, done);
      await done.promise;
      return entries;
    },
    remove: (number) => write({ removed: number }),
    async close() {
      while (flushing !== undefined) await flushing;
      await file.close();
    },
  };
}

/** A journal that is gone with its broker. */
export function memoryJournal(): Journal {
  let next = 1;
  return {
    pending: [],
    put: async (event, queues) => queues.map((queue): Entry => ({ number: next++, queue, event })),
    remove: () => undefined,
    close: async () => undefined,
  };
}

function applyLine(live: Map<number, Entry>, line: Line): void {
  if (line.removed !== undefined) live.delete(line.removed);
  for (const [number, queue] of line.to ?? []) {
    if (line.event !== undefined) live.set(number, { number, queue, event: line.event });
  }
}

async function readLines(path: string): Promise<Line[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  // a line without its end was being written when the broker died: its publisher got no 202
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as Line;
    } catch (cause) {
      throw new Error(`${path}: line ${index + 1} is damaged; remove the file to start without these events`, {
        cause,
      });
    }
  });
}

async function rewrite(path: string, entries: Iterable<Entry>): Promise<FileHandle> {
  const lines = [...entries].map(({ number, queue, event }): Line => ({ event, to: [[number, queue]] }));
  const fresh = await open(`${path}.new`, 'w');
  await fresh.writeFile(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  await fresh.sync();
  await fresh.close();
  await rename(`${path}.new`, path);
  const folder = await open(dirname(path));
  await folder.sync();
  await folder.close();
  return await open(path, 'a');
}
