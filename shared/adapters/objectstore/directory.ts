import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '#shared/domain/failure.ts';
import { checkKey, checkPrefix } from '#shared/domain/objects/keys.ts';
import type { KeyPage, ObjectStore } from '#shared/domain/objects/ports.ts';

// Keys never begin with a dot: this is no object's.
const incoming = '.incoming';
/** What a writer that died left behind; nobody takes an hour to write one object. */
const leftoverMs = 60 * 60 * 1_000;
const maxPage = 1_000;

/**
 * An object store in a folder, which several processes on several machines may share (NFS included). An object is
 * written beside, synchronised to the disk, and then linked or renamed to its name: both are atomic.
 */
export function openDirectoryStore(folder: string): ObjectStore {
  const fileOf = (key: string) => join(folder, ...key.split('/'));
  let cleaning: Promise<void> | undefined;

  return {
    async put(key, bytes, { onlyIfNew = false } = {}) {
      checkKey(key);
      return await reporting(`write ${key}`, async () => {
        // a folder that cannot be read fails the write below, which says so
        cleaning ??= removeLeftovers(join(folder, incoming)).catch(() => undefined);
        await cleaning;
        const file = fileOf(key);
        await makeFolder(dirname(file));
        const written = await writeBeside(join(folder, incoming), bytes);
        try {
          // a rename would replace what is there
          await (onlyIfNew ? link(written, file) : rename(written, file));
        } catch (error) {
          if (onlyIfNew && codeOf(error) === 'EEXIST') return 'exists';
          throw error;
        } finally {
          await unlink(written).catch(ignoreMissing);
        }
        await synchronise(dirname(file));
        return 'written';
      });
    },

    async get(key) {
      checkKey(key);
      return await reporting(`read ${key}`, () => readFile(fileOf(key)).catch(ignoreMissing));
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

async function writeBeside(folder: string, bytes: Uint8Array): Promise<string> {
  await makeFolder(folder);
  const path = join(folder, randomUUID());
  const file = await open(path, 'wx', 0o600);
  try {
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

/** Makes a folder that is still there after a crash: its name is in its parent, which is synchronised too. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await synchronise(dirname(made));
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
    const code = codeOf(error) ?? 'unknown error';
    throw new Failure(codes[code] ?? 'unavailable', `The object store's folder failed to ${what} (${code}).`, {
      cause: error,
    });
  }
}
