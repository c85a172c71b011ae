import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubernetesObject } from './objects.ts';

/** One write: the object as it is afterwards, or `object` missing when it was deleted. */
export type JournalEntry = { version: number; resource: string; key: string; object?: KubernetesObject };

export type Snapshot = { version: number; objects: JournalEntry[] };

export type Journal = {
  /** Queues a line. `settled` tells when it is on disk. */
  append(entry: JournalEntry): void;
  /** Resolves when all that was appended before is on disk; rejects when the disk refused. */
  settled(): Promise<void>;
  close(): Promise<void>;
};

/** After this many lines the whole state is written anew and the journal starts empty. */
const defaultCompactAfterLines = 20_000;

/**
 * An append-only file of JSON lines beside a snapshot. Lines are written and synced in groups:
 * all that arrives while one group is synced forms the next.
 */
export async function openJournal(
  folder: string,
  takeSnapshot: () => Snapshot,
  options: { compactAfterLines?: number | undefined } = {},
): Promise<{ journal: Journal; snapshot: Snapshot | undefined; entries: JournalEntry[] }> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const snapshot = await readSnapshot(join(folder, 'snapshot.json'));
  const path = join(folder, 'journal.jsonl');
  const { entries, wholeBytes } = await readEntries(path);
  const file = await open(path, 'a', 0o600);
  // A line cut off by a crash was never acknowledged.
  await file.truncate(wholeBytes);
  const newer = entries.filter((entry) => entry.version > (snapshot?.version ?? 0));
  return {
    journal: writer(folder, file, {
      lines: entries.length,
      takeSnapshot,
      compactAfterLines: options.compactAfterLines ?? defaultCompactAfterLines,
    }),
    snapshot,
    entries: newer,
  };
}

type WriterOptions = { lines: number; takeSnapshot: () => Snapshot; compactAfterLines: number };

function writer(folder: string, file: FileHandle, options: WriterOptions): Journal {
  let lines = options.lines;
  let queued: string[] = [];
  let running: Promise<void> | undefined;
  let failure: Error | undefined;

  async function writeGroups(): Promise<void> {
    while (queued.length > 0) {
      const group = queued;
      queued = [];
      await file.appendFile(group.join(''));
      await file.datasync();
      lines += group.length;
      if (lines >= options.compactAfterLines) {
        // Lines queued meanwhile are in the snapshot too; reading skips them by their version.
        await writeSnapshot(join(folder, 'snapshot.json'), options.takeSnapshot());
        await file.truncate(0);
        lines = 0;
      }
    }
  }

  function start(): Promise<void> {
    running ??= writeGroups()
      .catch((error: Error) => {
        failure = error;
        throw error;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  }

  async function settled(): Promise<void> {
    if (failure) throw failure;
    if (running || queued.length > 0) await start();
    // The group that was running may have begun before the caller's line was queued.
    if (queued.length > 0) await start();
  }

  return {
    append(entry) {
      queued.push(`${JSON.stringify(entry)}\n`);
    },
    settled,
    async close() {
      await settled();
      await file.close();
    },
  };
}

async function readSnapshot(path: string): Promise<Snapshot | undefined> {
  const text = await readIfThere(path);
  return text === undefined ? undefined : (JSON.parse(text) as Snapshot);
}

async function readEntries(path: string): Promise<{ entries: JournalEntry[]; wholeBytes: number }> {
  const text = (await readIfThere(path)) ?? '';
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const lines = whole.split('\n').filter((line) => line !== '');
  return { entries: lines.map((line) => JSON.parse(line) as JournalEntry), wholeBytes: Buffer.byteLength(whole) };
}

async function writeSnapshot(path: string, snapshot: Snapshot): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  await file.writeFile(JSON.stringify(snapshot));
  await file.sync();
  await file.close();
  await rename(`${path}.new`, path);
}

async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
