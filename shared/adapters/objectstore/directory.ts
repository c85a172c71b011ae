import { randomUUID } from 'node:crypto';
import { chmod, type FileHandle, link, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '#shared/domain/failure.ts';
import { checkFrom, checkKey, checkPrefix } from '#shared/domain/objects/keys.ts';
import type { KeyPage, ObjectStore, WriteOptions, Written } from '#shared/domain/objects/ports.ts';
import { checkExpected, measured, onePiece } from './measured.ts';

// Keys never begin with a dot: this is no object's.
const incoming = '.incoming';
/** What a writer that died left behind; nobody pauses for an hour in the middle of an object. */
const leftoverMs = 60 * 60 * 1_000;
const maxPage = 1_000;
const pieceSize = 256 * 1_024;

export type DirectoryOptions = {
  /** Other users of the folder's group may read and write, too. Else only this user may. */
  isShared?: boolean;
};

type Modes = { file: number; folder: number };
const privateModes: Modes = { file: 0o600, folder: 0o700 };
// folders give their group to what is made in them
const sharedModes: Modes = { file: 0o660, folder: 0o2770 };

/**
 * An object store in a folder, which several processes on several machines may share (NFS included). An object is
 * written beside, synchronised to the disk, and then linked or renamed to its name: both are atomic.
 */
export function openDirectoryStore(folder: string, options: DirectoryOptions = {}): ObjectStore {
  const modes = options.isShared === true ? sharedModes : privateModes;
  const fileOf = (key: string) => join(folder, ...key.split('/'));
  let cleaning: Promise<void> | undefined;

  async function write(
    key: string,
    bytes: AsyncIterable<Uint8Array>,
    { onlyIfNew = false, expected }: WriteOptions = {},
  ): Promise<Written> {
    checkKey(key);
    const source = measured(bytes);
    return await reporting<Written>(`write ${key}`, async () => {
      // a folder that cannot be read fails the write below, which says so
      cleaning ??= removeLeftovers(join(folder, incoming)).catch(() => undefined);
      await cleaning;
      const file = fileOf(key);
      await makeFolder(dirname(file), modes);
      const beside = await writeBeside(join(folder, incoming), source.pieces, modes);
      try {
        const content = source.digest();
        checkExpected(key, content, expected);
        // a rename would replace what is there
        await (onlyIfNew ? link(beside, file) : rename(beside, file));
        await synchronise(dirname(file));
        return { outcome: 'written', content, stored: content };
      } catch (error) {
        if (onlyIfNew && codeOf(error) === 'EEXIST') return { outcome: 'exists' };
        throw error;
      } finally {
        await unlink(beside).catch(ignoreMissing);
      }
    }).catch((error: unknown) => {
      const thrown = source.thrown();
      throw thrown === undefined ? error : thrown.error;
    });
  }

  return {
    put: async (key, bytes, options) => (await write(key, onePiece(bytes), options)).outcome,
    write,

    async get(key) {
      checkKey(key);
      return await reporting(`read ${key}`, () => readFile(fileOf(key)).catch(ignoreMissing));
    },

    async read(key, { from = 0 } = {}) {
      checkKey(key);
      return await reporting(`read ${key}`, async () => {
        const file = await open(fileOf(key), 'r').catch(ignoreMissing);
        if (file === undefined) return undefined;
        const { size } = await file.stat().catch(closing(file));
        try {
          checkFrom(key, { from, size });
        } catch (error) {
          return await closing(file)(error);
        }
        return { size, bytes: piecesOf(file, { key, size, from }) };
      });
    },

    async head(key) {
      checkKey(key);
      return await reporting(`look at ${key}`, async () => {
        const found = await stat(fileOf(key)).catch(ignoreMissing);
        return found?.isFile() ? { size: found.size, writtenAt: found.mtime, lockedUntil: undefined } : undefined;
      });
    },

    async list({ prefix, after = '', limit = maxPage }) {
      checkPrefix(prefix);
      const wanted = Math.min(Math.max(limit, 1), maxPage);
      return await reporting(`list ${prefix}`, () => pageOf(folder, { prefix, after, limit: wanted }));
    },

    async remove(key) {
      checkKey(key);
      await reporting(`remove ${key}`, async () => {
        const file = fileOf(key);
        await unlink(file).catch(ignoreMissing);
        await synchronise(dirname(file)).catch(ignoreMissing);
      });
    },
  };
}

async function writeBeside(folder: string, bytes: AsyncIterable<Uint8Array>, modes: Modes): Promise<string> {
  await makeFolder(folder, modes);
  const path = join(folder, randomUUID());
  const file = await open(path, 'wx', modes.file);
  try {
    // whatever the process's umask takes away
    await file.chmod(modes.file);
    await file.writeFile(bytes);
    await file.sync();
  } catch (error) {
    await unlink(path).catch(ignoreMissing);
    throw error;
  } finally {
    await file.close();
  }
  return path;
}

async function* piecesOf(
  file: FileHandle,
  { key, size, from }: { key: string; size: number; from: number },
): AsyncGenerator<Buffer> {
  try {
    let read = from;
    while (read < size) {
      const buffer = Buffer.allocUnsafe(Math.min(pieceSize, size - read));
      const { bytesRead } = await reporting(`read ${key}`, () => file.read(buffer, 0, buffer.length, read));
      if (bytesRead === 0) {
        throw new Failure(
          'damaged',
          `The object ${key} ends after ${read} of ${size} bytes: it was cut while it was read.`,
        );
      }
      read += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function closing(file: FileHandle): (error: unknown) => Promise<never> {
  return async (error) => {
    await file.close();
    throw error;
  };
}

/** Makes a folder that is still there after a crash: its name is in its parent, which is synchronised too. */
async function makeFolder(folder: string, modes: Modes): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: modes.folder });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) {
    await chmod(made, modes.folder);
    await synchronise(dirname(made));
  }
}

async function synchronise(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeLeftovers(folder: string): Promise<void> {
  const names = (await readdir(folder).catch(ignoreMissing)) ?? [];
  for (const name of names) {
    const found = await stat(join(folder, name)).catch(ignoreMissing);
    if (found !== undefined && Date.now() - found.mtimeMs > leftoverMs) {
      await unlink(join(folder, name)).catch(ignoreMissing);
    }
  }
}

async function pageOf(folder: string, wanted: { prefix: string; after: string; limit: number }): Promise<KeyPage> {
  const keys: string[] = [];
  for await (const key of keysBelow(folder, '', wanted)) {
    if (keys.length === wanted.limit) return { keys, next: keys.at(-1) };
    keys.push(key);
  }
  return { keys, next: undefined };
}

/** In the order of the keys' bytes: a folder's name counts with its slash. Folders that hold nothing wanted are passed over. */
async function* keysBelow(
  folder: string,
  path: string,
  wanted: { prefix: string; after: string },
): AsyncGenerator<string> {
  const { prefix, after } = wanted;
  const entries = ((await readdir(join(folder, path), { withFileTypes: true }).catch(ignoreMissing)) ?? [])
    .filter(({ name }) => !name.startsWith('.'))
    .map((entry) => ({ entry, name: `${path}${entry.name}${entry.isDirectory() ? '/' : ''}` }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { entry, name } of entries) {
    if (entry.isDirectory()) {
      const mayHold = name.startsWith(prefix) || prefix.startsWith(name);
      const isOver = name < after && !after.startsWith(name);
      if (mayHold && !isOver) yield* keysBelow(folder, name, wanted);
    } else if (name.startsWith(prefix) && name > after) {
      yield name;
    }
  }
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

const codes: Readonly<Record<string, 'misconfigured' | 'no-capacity' | 'invalid-request'>> = {
  EACCES: 'misconfigured',
  EPERM: 'misconfigured',
  EROFS: 'misconfigured',
  ENOSPC: 'no-capacity',
  EDQUOT: 'no-capacity',
  // `a` and `a/b`: a folder cannot hold both
  ENOTDIR: 'invalid-request',
  EISDIR: 'invalid-request',
};

async function reporting<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = codeOf(error) ?? 'unknown error';
    throw new Failure(codes[code] ?? 'unavailable', `The object store's folder failed to ${what} (${code}).`, {
      cause: error,
    });
  }
}
