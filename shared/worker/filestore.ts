import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '#shared/domain/failure.ts';
import type { AttachedFile } from './contents.ts';

const filePattern = /^([0-9a-f]{2,3})\/([0-9a-f]{40})$/;
const readSize = 256 * 1_024;

/** A file of Odoo's filestore: its path in it, and the sha1 of its content, which is its name. */
export type NamedFile = AttachedFile & { sha1: string };

/**
 * The files that attachments name, by the content they must have.
 * @throws Failure `job-failed` for a name that Odoo does not give: the tenant can write any into his rows.
 */
export function namedFiles(attached: readonly AttachedFile[]): NamedFile[] {
  return attached.map((one) => {
    const [, folder = '', sha1 = ''] = filePattern.exec(one.file) ?? [];
    if (folder !== '' && sha1.startsWith(folder)) return { ...one, sha1 };
    const shown = JSON.stringify(one.file.slice(0, 80));
    throw refused(
      one,
      `names the file ${shown}, which is not a name that Odoo gives (2 digits, "/", 40 digits of sha1)`,
    );
  });
}

export type Filestore = {
  /**
   * The content of a file. It fails at its end when it is not the content of its name.
   * @throws Failure that names an attachment: `not-found` when the file is missing, `damaged` when its content is another,
   * `job-failed` when it is a link or no file at all.
   */
  read(file: NamedFile): AsyncGenerator<Buffer>;
};

/**
 * The tenant's own code can write into this folder: what is in it is read only where it lies in it itself. A link could
 * lead to what this process may read and the tenant may not, its order first of all.
 */
export function openFilestore(folder: string): Filestore {
  const folders = new Map<string, Promise<boolean>>();
  const isInside = (file: string) => {
    const name = dirname(file);
    const known = folders.get(name) ?? leadsToItself(folder, name);
    folders.set(name, known);
    return known;
  };

  async function* read(file: NamedFile): AsyncGenerator<Buffer> {
    const handle = (await isInside(file.file)) ? await openFile(join(folder, file.file)) : 'other';
    if (handle === 'missing') {
      throw refused(file, `names the file ${file.file}, which is not in the filestore`, 'not-found');
    }
    if (handle === 'other') throw refused(file, `names the file ${file.file}, which is a link or no file`);
    const sha1 = createHash('sha1');
    try {
      yield* hashed(handle, sha1);
    } finally {
      await handle.close();
    }
    const found = sha1.digest('hex');
    if (found === file.sha1) return;
    const what = `names the file ${file.file}, whose content is another (sha1 ${found}): it is damaged`;
    throw refused(file, what, 'damaged');
  }
  return { read };
}

async function* hashed(handle: FileHandle, hash: Hash): AsyncGenerator<Buffer> {
  for (;;) {
    // a buffer of its own each time: who takes it may keep it
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(readSize), 0, readSize, null);
    if (bytesRead === 0) return;
    const piece = buffer.subarray(0, bytesRead);
    hash.update(piece);
    yield piece;
  }
}

async function openFile(path: string): Promise<FileHandle | 'missing' | 'other'> {
  try {
    // a pipe would be waited for without it
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    return 'other';
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing';
    if (code === 'ELOOP') return 'other';
    throw new Failure('unavailable', `The file ${basename(path)} of the filestore cannot be read (${code}).`, {
      cause: error,
    });
  }
}

async function leadsToItself(folder: string, name: string): Promise<boolean> {
  try {
    return (await realpath(join(folder, name))) === join(await realpath(folder), name);
  } catch (error) {
    // whoever opens the file says that it is missing
    if (codeOf(error) === 'ENOENT') return true;
    throw new Failure('unavailable', `The filestore cannot be read (${codeOf(error)}).`, { cause: error });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}

function refused(
  { attachment }: AttachedFile,
  what: string,
  code: 'job-failed' | 'not-found' | 'damaged' = 'job-failed',
): Failure {
  return new Failure(code, `Attachment ${attachment} ${what}.`);
}
