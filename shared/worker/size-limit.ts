import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { withSession } from './session.ts';

const pollMs = 1_000;
const gib = 1024 ** 3;

const endOthers = `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
  WHERE usename = current_user AND pid <> pg_catalog.pg_backend_pid()`;

/**
 * Does the work on the database and looks meanwhile how large that gets: a dump is a program, of which a hundred bytes can
 * fill the server's disk. Beyond the limit all sessions of the user are ended, and with them what they have begun. Files
 * for sorting do not count: they are limited by the server's own `temp_file_limit`.
 * @throws Failure `invalid-request` beyond the limit; what the work throws; `unavailable` when nobody can look any more.
 */
export async function whileNoLarger<Result>(
  mostBytes: number,
  { access, signal }: { access: DatabaseAccess; signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const [over, done] = [new AbortController(), new AbortController()];
  const watching = withSession(access, signal, async (client) => {
    while (!done.signal.aborted) {
      const text = 'SELECT pg_catalog.pg_database_size(pg_catalog.current_database())::float8 AS bytes';
      const { rows } = await client.query<{ bytes: number }>(text);
      if ((rows[0]?.bytes ?? 0) > mostBytes) {
        throw tooLarge(mostBytes);
      }
      await delay(pollMs, undefined, { signal: done.signal }).catch(() => undefined);
    }
  }).catch(async (error: unknown) => {
    over.abort(asFailure(error));
    // a statement whose psql is gone would go on; the session that looked may be one that the dump has ended
    await withSession(access, signal, (client) => client.query(endOthers)).catch(() => undefined);
  });
  try {
    return await work(AbortSignal.any([signal, over.signal]));
  } catch (error) {
    signal.throwIfAborted();
    throw over.signal.aborted ? over.signal.reason : error;
  } finally {
    done.abort();
    await watching;
  }
}

function tooLarge(mostBytes: number): Failure {
  const text = `The database of the archive gets larger than ${(mostBytes / gib).toFixed(1)} GiB, the disk of the plan. Choose a larger plan.`;
  return new Failure('invalid-request', text);
}
