import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import {
  type BackupResult,
  type LostFile,
  type StoredFile,
  storedFileKey,
  storedFileName,
} from '#shared/domain/backup/manifest.ts';
import { asFailure, type Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { contentSize } from '#shared/domain/objects/sealing.ts';
import { concurrently } from './concurrently.ts';
import type { Filestore, NamedFile } from './filestore.ts';
import { readStoredFile } from './stored-object.ts';

/** Files at a time: each holds some chunks of 256 KiB. */
const uploads = 8;
const tries = 4;

export type StoreFilesOptions = {
  instanceId: string;
  store: ObjectStore;
  filesKey: Uint8Array;
  filestore: Filestore;
  /** What the newest backup says of them, by name. */
  known: ReadonlyMap<string, StoredFile>;
  signal: AbortSignal;
  onFile(): void;
};

/**
 * Brings those files to the store that are not there, and says of each what is there. What is there and in no backup that
 * we know of (of one that failed, say) is read first; where it is damaged it is written anew. A file that the instance has
 * lost, and that is not in the store, is told in `lost`.
 */
export async function storeFiles(
  files: readonly NamedFile[],
  options: StoreFilesOptions,
): Promise<BackupResult['files']> {
  const { instanceId, filesKey, known, signal, onFile } = options;
  // Odoo once made three digits of the folder: the same content may have two paths
  const byName = new Map(files.map((file) => [storedFileName(filesKey, file.sha1), file]));
  const present = byName.size === 0 ? new Set<string>() : await presentNames(options);
  const objects: StoredFile[] = [];
  const lost: LostFile[] = [];
  const totals = { bytes: 0, uploadedCount: 0, uploadedBytes: 0 };
  await concurrently(byName, uploads, async ([name, file]) => {
    const key = storedFileKey(instanceId, name);
    const taken = present.has(name) ? (known.get(name) ?? (await knownByReading(options, key, file))) : undefined;
    const object = taken ?? (await retrying(signal, () => upload(options, key, file)));
    if (typeof object === 'string') {
      lost.push({ name, attachment: file.attachment, why: object });
      onFile();
      return;
    }
    if (taken === undefined) {
      totals.uploadedCount += 1;
      totals.uploadedBytes += object[1];
    }
    objects.push([name, object[1], object[2]]);
    onFile();
  });
  objects.sort(([a], [b]) => (a < b ? -1 : 1));
  lost.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name } of lost) byName.delete(name);
  const storedBytes = objects.reduce((sum, [, size]) => sum + size, 0);
  return {
    count: objects.length,
    bytes: objects.reduce((sum, [, size]) => sum + (contentSize(size) ?? 0), 0),
    storedBytes,
    uploaded: { count: totals.uploadedCount, bytes: totals.uploadedBytes },
    contents: digestOf([...byName.values()].map(({ sha1 }) => sha1)),
    objects,
    ...(lost.length > 0 && { lost }),
  };
}

/** The sha1 of all contents as one text, whatever order they came in. */
export function digestOf(sha1s: readonly string[]): string {
  const lines = [...new Set(sha1s)].toSorted().map((sha1) => `${sha1}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex');
}

type StoredSize = readonly [name: string, size: number, sha256: string];

/** Why the instance has lost it, or what was written. */
async function upload(options: StoreFilesOptions, key: string, file: NamedFile): Promise<StoredSize | LostFile['why']> {
  const { store, filesKey, filestore, signal } = options;
  let ofFile: Failure | undefined;
  async function* content(): AsyncGenerator<Buffer> {
    try {
      yield* whileWanted(filestore.read(file), signal);
    } catch (error) {
      ofFile = asFailure(error);
      throw error;
    }
  }
  const written = await encryptedStore(store, filesKey)
    .write(key, content())
    .catch((error: unknown) => {
      if (ofFile?.code === 'not-found') return 'missing';
      if (ofFile?.code === 'damaged') return 'damaged';
      throw error;
    });
  if (typeof written === 'string') return written;
  // without `onlyIfNew` nothing is left as it was
  if (written.outcome === 'exists') throw new Error(`the store did not write ${key}`);
  return [key, written.stored.size, written.stored.sha256];
}

/** undefined: what is there is damaged, or went away meanwhile. */
async function knownByReading(
  { store, filesKey, signal }: StoreFilesOptions,
  key: string,
  file: NamedFile,
): Promise<StoredSize | undefined> {
  try {
    const found = await retrying(signal, () => readStoredFile(store, key, filesKey));
    return found?.sha1 === file.sha1 ? [key, found.size, found.sha256] : undefined;
  } catch (error) {
    if (asFailure(error).code === 'damaged') return undefined;
    throw error;
  }
}

async function presentNames({ instanceId, store, signal }: StoreFilesOptions): Promise<Set<string>> {
  const names = new Set<string>();
  let after: string | undefined;
  do {
    const page = await retrying(signal, () => store.list({ prefix: `files/${instanceId}/`, after }));
    for (const key of page.keys) names.add(key.slice(key.lastIndexOf('/') + 1));
    after = page.next;
  } while (after !== undefined);
  return names;
}

async function* whileWanted(bytes: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const piece of bytes) {
    signal.throwIfAborted();
    yield piece;
  }
}

/** A store that refuses one of a hundred thousand calls is no reason to begin the backup anew. */
export async function retrying<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      // a failure that nobody foresaw is none of the store's
      const { code } = asFailure(error);
      if (attempt >= tries || (code !== 'unavailable' && code !== 'timeout')) throw error;
      await delay(250 * 4 ** (attempt - 1), undefined, { signal });
    }
  }
}
