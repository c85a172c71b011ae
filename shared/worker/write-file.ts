import { type FileHandle, open, statfs } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Failure } from '#shared/domain/failure.ts';

/** Of the volume's size: Odoo is at work on it meanwhile, and needs room for what its users do. */
const keptFree = 0.02;

/**
 * Writes a new file from pieces, each whole: on a disk that gets full the system takes a part of the last one and calls
 * that a success. Resolves when all of it is on the disk. Of a file that could not be written a part may be left.
 * @throws Failure `no-capacity` when the disk is full, or nearly so; what `pieces` throws is thrown.
 */
export async function writeNewFile(
  path: string,
  pieces: AsyncIterable<Buffer>,
  { mode, onPiece, keeps = keptFree }: { mode: number; onPiece(piece: Buffer): void; keeps?: number },
): Promise<void> {
  const handle = await onDisk(path, () => open(path, 'wx', mode));
  try {
    for await (const piece of pieces) {
      onPiece(piece);
      await checkRoom(path, { for: piece.length, keeps });
      await onDisk(path, () => writeWhole(handle, piece));
    }
    await onDisk(path, () => handle.sync());
  } finally {
    await handle.close();
  }
}

async function writeWhole(handle: FileHandle, piece: Buffer): Promise<void> {
  for (let at = 0; at < piece.length; ) {
    const { bytesWritten } = await handle.write(piece, at);
    at += bytesWritten;
  }
}

async function checkRoom(path: string, wanted: { for: number; keeps: number }): Promise<void> {
  const { blocks, bavail, bsize } = await statfs(dirname(path));
  // some network file systems do not say
  if (blocks === 0 || bavail * bsize - wanted.for >= blocks * bsize * wanted.keeps) return;
  throw noRoom(path);
}

function noRoom(path: string, cause?: unknown): Failure {
  const text = `The instance's volume is full: ${basename(path)} finds no room. Free some, or make the volume larger, then retry.`;
  return new Failure('no-capacity', text, { cause });
}

const full = ['ENOSPC', 'EDQUOT'];

/** Work on a file of the instance's volume. @throws Failure `no-capacity` when the volume is full. */
export async function onDisk<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && full.includes(String(error.code)))) throw error;
    throw noRoom(path, error);
  }
}
