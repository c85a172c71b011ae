import { pipeline as pump } from 'node:stream/promises';
import type { BackupManifest } from '#shared/domain/backup/manifest.ts';
import type { BackupKeys, DatabaseAccess } from '#shared/domain/backup/order.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { startPipeline } from './pipeline.ts';
import { checkClientVersion, programEnvironment } from './postgres-programs.ts';
import { serverVersion, withSession } from './session.ts';
import { type OpenedObject, openStoredObject } from './stored-object.ts';
import type { TaskContext } from './task.ts';

/** What pg_restore says when it is not the dump that is wrong. */
const notTheDump =
  /connection to server|could not connect|server closed the connection|terminating connection|No space left|disk full|out of memory|too many (connections|clients)|cannot be started|SIGKILL|SIGTERM/i;

/**
 * Restores the dump of the manifest in one transaction, as the role of the order.
 *
 * What is known of the programs: `pg_restore -l` reads the list at the beginning only, and ends with 0 on a dump that is
 * cut or has a bit flipped; `psql` ends with 0 on a plain dump that is cut in the middle of a COPY. So the dump is in
 * pg_dump's custom format, all of it is restored, and each program's exit code counts.
 * @returns differences: sentences that say what is wrong with the dump; empty when it is restored.
 * @throws Failure when something else than the dump is wrong.
 */
export async function restoreDump(
  order: { manifest: BackupManifest; keys: Pick<BackupKeys, 'dump'>; database: DatabaseAccess },
  { store, folder, signal }: TaskContext,
  onBytes: (count: number) => void,
): Promise<{ differences: string[]; bytes: number }> {
  const { dump } = order.manifest;
  const opened = await openStoredObject(store, dump.key, Buffer.from(order.keys.dump, 'base64'));
  if (opened === undefined) return { differences: [`The dump ${dump.key} is missing.`], bytes: 0 };
  await withSession(order.database, signal, async (client) => {
    await checkClientVersion('pg_restore', await serverVersion(client));
  });
  const environment = await programEnvironment(order.database, folder);
  const ended = await feedRestore(opened, { environment, database: order.database.database, signal, onBytes });
  signal.throwIfAborted();
  const { failure, bytes } = ended;
  if (failure !== undefined) return { differences: [await damageIn(failure, order.database, signal)], bytes };
  const stored = opened.stored();
  if (stored.sha256 === dump.sha256 && stored.size === dump.storedBytes) return { differences: [], bytes };
  return {
    differences: [`The dump ${dump.key} is another one than the manifest was made for: its sha256 differs.`],
    bytes,
  };
}

/** `failure`: of what was read, before of the programs, which only suffer from it. */
async function feedRestore(
  opened: OpenedObject,
  options: {
    environment: Record<string, string>;
    database: string;
    signal: AbortSignal;
    onBytes(count: number): void;
  },
): Promise<{ failure: Failure | undefined; bytes: number }> {
  const { environment, database, onBytes } = options;
  const cut = new AbortController();
  const signal = AbortSignal.any([options.signal, cut.signal]);
  const restore = ['--no-owner', '--no-acl', '--no-password', '--exit-on-error', '--single-transaction'];
  const pipeline = startPipeline(
    [
      { program: 'zstd', args: ['--decompress', '--quiet', '--stdout'] },
      { program: 'pg_restore', args: [...restore, `--dbname=${database}`], env: environment },
    ],
    { gives: 'input', signal },
  );
  if (pipeline.input === null) throw new Error('the pipeline has no input');
  let bytes = 0;
  let readFailure: Failure | undefined;
  async function* counted(): AsyncGenerator<Buffer> {
    try {
      for await (const piece of opened.content) {
        bytes += piece.length;
        onBytes(piece.length);
        yield piece;
      }
    } catch (error) {
      readFailure = asFailure(error);
      // The end of its input would be an end as any other: the programs must not take it for the dump's.
      cut.abort(readFailure);
      throw error;
    }
  }
  // when the programs leave it, they say why
  await pump(counted, pipeline.input, { signal }).catch(() => undefined);
  const failure = await pipeline.ended.then(
    () => undefined,
    (error: unknown) => asFailure(error),
  );
  return { failure: readFailure ?? failure, bytes };
}

/** The text of what is wrong with the dump. @throws Failure when the failure is none of the dump's. */
async function damageIn(failure: Failure, database: DatabaseAccess, signal: AbortSignal): Promise<string> {
  if (failure.code === 'damaged') return failure.message;
  if (failure.code !== 'job-failed') throw failure;
  if (notTheDump.test(failure.message)) {
    throw new Failure('unavailable', `The restore was interrupted: ${failure.message}`, { cause: failure });
  }
  // a server that went away lets nobody in
  await withSession(database, signal, (client) => client.query('SELECT 1'));
  return `The dump cannot be restored: ${failure.message}`;
}
