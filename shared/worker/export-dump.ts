import type { Readable } from 'node:stream';
import { pipeline as pump } from 'node:stream/promises';
import type { BackupManifest } from '#shared/domain/backup/manifest.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { startPipeline } from './pipeline.ts';
import { openStoredObject } from './stored-object.ts';
import type { TaskContext } from './task.ts';

/**
 * The dump of a backup as plain SQL, without owners and grants, as `pg_dump --no-owner` writes it and Odoo's archives
 * have it. pg_restore makes it of the dump alone: no server is asked.
 * @throws Failure `damaged` at its end, or before, when the dump is not the one its manifest was made for.
 */
export async function* plainDump(
  { store, signal }: Pick<TaskContext, 'store' | 'signal'>,
  options: {
    dump: BackupManifest['dump'];
    key: Uint8Array;
    /** Of the dump as it is stored. */
    onBytes(count: number): void;
    /** Of the SQL. */
    onPiece(piece: Buffer): void;
  },
): AsyncGenerator<Buffer> {
  const { dump, key, onBytes, onPiece } = options;
  const opened = await openStoredObject(store, dump.key, key);
  if (opened === undefined) throw new Failure('damaged', `The dump ${dump.key} is missing.`);
  const cut = new AbortController();
  const either = AbortSignal.any([signal, cut.signal]);
  const pipeline = startPipeline(
    [
      { program: 'zstd', args: ['--decompress', '--quiet', '--stdout'] },
      { program: 'pg_restore', args: ['--file=-', '--no-owner', '--no-acl'] },
    ],
    { gives: 'both', signal: either },
  );
  const { input, output, ended } = pipeline;
  if (input === null || output === null) throw new Error('the pipeline has no input or no output');
  let readFailure: Failure | undefined;
  async function* counted(): AsyncGenerator<Buffer> {
    try {
      for await (const piece of opened?.content ?? []) {
        onBytes(piece.length);
        yield piece;
      }
    } catch (error) {
      readFailure = asFailure(error);
      // the end of its input would be an end as any other
      cut.abort(readFailure);
      throw error;
    }
  }
  const feeding = pump(counted, input, { signal: either }).catch(() => undefined);
  try {
    for await (const piece of output as Readable & AsyncIterable<Buffer>) {
      onPiece(piece);
      yield piece;
    }
    await feeding;
    await ended;
    const stored = opened.stored();
    if (stored.sha256 !== dump.sha256 || stored.size !== dump.storedBytes) {
      throw new Failure('damaged', `The dump ${dump.key} is another one than the manifest was made for.`);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw readFailure ?? damagedBy(asFailure(error), dump.key);
  } finally {
    cut.abort();
    await feeding;
  }
}

/** What the programs say of a dump that is not whole. */
function damagedBy(failure: Failure, key: string): Failure {
  if (failure.code !== 'job-failed') return failure;
  return new Failure('damaged', `The dump ${key} cannot be read: ${failure.message}`, { cause: failure });
}
