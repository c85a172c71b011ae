import { createHash } from 'node:crypto';
import { link, lstat, mkdir, readdir, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { loadDatabaseName } from '#shared/domain/backup/load-names.ts';
import { storedFileKey, storedFileName } from '#shared/domain/backup/manifest.ts';
import type { LoadOrder } from '#shared/domain/backup/order.ts';
import { asFailure, Failure, type FailureCode } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { concurrently } from './concurrently.ts';
import { type NamedFile, openFilestore } from './filestore.ts';
import { retrying } from './store-files.ts';
import { openStoredObject } from './stored-object.ts';
import { onDisk, writeNewFile } from './write-file.ts';

/** Files at a time. */
const writes = 8;

/** Where files come from. */
export type FileSource = {
  /** For people: what the content of this file is read from. */
  nameOf(file: NamedFile): string;
  /** undefined: there is no such file. @throws Failure `damaged` where what is there is not what was written. */
  open(file: NamedFile): Promise<AsyncIterable<Buffer> | undefined>;
};

export type LoadFilesOptions = {
  source: FileSource;
  folder: string;
  linkFrom: string | null;
  signal: AbortSignal;
  onFile(): void;
};

export type LoadedFiles = { count: number; linked: number; bytes: number; differences: string[] };

/** The files of a backup. `instanceId`: whose backup it is, below its id they lie in the store. */
export function storedFiles(
  store: ObjectStore,
  { instanceId, filesKey }: { instanceId: string; filesKey: Uint8Array },
): FileSource {
  const keyOf = ({ sha1 }: NamedFile) => storedFileKey(instanceId, storedFileName(filesKey, sha1));
  return {
    nameOf: (file) => `object ${keyOf(file)}`,
    open: async (file) => (await openStoredObject(store, keyOf(file), filesKey))?.content,
  };
}

/**
 * Brings the files into the folder, each under its path there. What is there already and right is kept; what the other
 * folder has is linked when reading it shows that it is right; the rest is fetched. No file has its name before its
 * content was found to be that of the name.
 */
export async function loadFiles(files: readonly NamedFile[], options: LoadFilesOptions): Promise<LoadedFiles> {
  const { folder, linkFrom, signal, onFile } = options;
  const loaded: LoadedFiles = { count: 0, linked: 0, bytes: 0, differences: [] };
  await concurrently(files, writes, async (file) => {
    signal.throwIfAborted();
    const target = join(folder, file.file);
    await onDisk(target, () => mkdir(dirname(target), { recursive: true }));
    await insideOnly(folder, dirname(target));
    const had = await sizeIfRight(folder, file);
    const linked = had ?? (linkFrom === null ? undefined : await linkFile(file, { from: linkFrom, target }));
    const size = linked ?? (await fetchFile(file, target, options));
    if (typeof size === 'string') loaded.differences.push(size);
    else {
      loaded.count += 1;
      loaded.bytes += size;
      if (had === undefined && linked !== undefined) loaded.linked += 1;
    }
    onFile();
  });
  loaded.differences.sort();
  return loaded;
}

/**
 * Makes the folder of an order, and removes beside it what other rounds of its operation have left, and what the order says
 * that nobody needs. Any other may be the only copy of files that a restore has yet to put in place.
 */
export async function makeFolder({ instanceId, operationId, filestore }: LoadOrder): Promise<void> {
  const { folder, left = [] } = filestore;
  const parent = dirname(folder);
  await mkdir(folder, { recursive: true });
  await insideOnly(parent, folder);
  const own = loadDatabaseName({ instanceId, operationId, round: 0 }).slice(0, -1);
  const isLeft = (name: string) => left.includes(name) && name.startsWith(`load_${instanceId}_`);
  for (const name of await readdir(parent)) {
    if (name !== basename(folder) && (name.startsWith(own) || isLeft(name))) {
      await rm(join(parent, name), { recursive: true, force: true });
    }
  }
}

/** The tenant's code can write to the volume: a link of his must lead nowhere. */
async function insideOnly(folder: string, below: string): Promise<void> {
  const isLink = (await lstat(below)).isSymbolicLink();
  if (!isLink && (await realpath(below)) === join(await realpath(folder), below.slice(folder.length))) return;
  throw new Failure('foreign-object', `The folder ${basename(below)} of the filestore is a link. Remove it.`);
}

/** Missing, another content, or no file: what reading the filestore says. */
const notIt: readonly FailureCode[] = ['not-found', 'damaged', 'job-failed'];

/** The size of the file when its content is that of its name; undefined when it is another, or not there. */
async function sizeIfRight(folder: string, file: NamedFile): Promise<number | undefined> {
  let size = 0;
  try {
    for await (const piece of openFilestore(folder).read(file)) size += piece.length;
    return size;
  } catch (error) {
    if (notIt.includes(asFailure(error).code)) return undefined;
    throw error;
  }
}

/** Undefined when there is none, or another one. The tenant may exchange it meanwhile: what was linked is read. */
async function linkFile(
  file: NamedFile,
  { from, target }: { from: string; target: string },
): Promise<number | undefined> {
  if ((await sizeIfRight(from, file)) === undefined) return undefined;
  const folder = join(target, '..', '..');
  await rm(target, { force: true });
  try {
    await link(join(from, file.file), target);
  } catch {
    // gone meanwhile, or a file system without links: it is fetched
    return undefined;
  }
  const size = await sizeIfRight(folder, file);
  if (size === undefined) await rm(target, { force: true, recursive: true });
  return size;
}

/** The size; a text: what is wrong with the source. */
async function fetchFile(file: NamedFile, target: string, options: LoadFilesOptions): Promise<number | string> {
  const { source, signal } = options;
  const part = `${target}.part`;
  try {
    const fetched = await retrying(signal, async () => {
      const content = await source.open(file);
      return content && (await writeFile(part, content));
    });
    if (fetched === undefined) return `The ${source.nameOf(file)} is missing.`;
    if (fetched.sha1 !== file.sha1) return `The ${source.nameOf(file)} holds another file than its name says.`;
    await rename(part, target);
    return fetched.size;
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'damaged') return failure.message;
    throw error;
  } finally {
    await rm(part, { force: true });
  }
}

async function writeFile(path: string, content: AsyncIterable<Buffer>): Promise<{ sha1: string; size: number }> {
  await rm(path, { force: true, recursive: true });
  const hash = createHash('sha1');
  let size = 0;
  const onPiece = (piece: Buffer) => {
    hash.update(piece);
    size += piece.length;
  };
  await writeNewFile(path, content, { mode: 0o644, onPiece });
  return { sha1: hash.digest('hex'), size };
}
