import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '#shared/domain/failure.ts';
import type { Queryable, TransactionOptions } from './database.ts';
import type { DriverPool } from './drivers.ts';
import { databaseFailure, mayRunAgain } from './errors.ts';
import { openQueryable, openSession, type Session } from './session.ts';

const MAX_RUNS = 3;
/** The network's share of a statement's time, on top of what the server allows it. */
const ANSWER_MARGIN_MS = 2_000;
/** How long a lost answer to COMMIT is asked after: a bouncer is back in about a second, a server in a few. */
const OUTCOME_WITHIN_MS = 6_000;

export type TransactionPlace = {
  pool: DriverPool;
  /** Names the server in messages. */
  place: string;
};

type Ended<Result> =
  | { isCommitted: true; result: Result }
  | { isCommitted: false; error: unknown; mayRunAgain: boolean };

/** `Database.transaction`, see there. */
export async function runTransaction<Result>(
  place: TransactionPlace,
  work: (transaction: Queryable) => Promise<Result>,
  options: TransactionOptions,
): Promise<Result> {
  for (let run = 1; ; run += 1) {
    const ended = await runOnce(place, work, options);
    if (ended.isCommitted) return ended.result;
    if (!ended.mayRunAgain || run === MAX_RUNS) throw ended.error;
    // 50 to 100 ms, then 200 to 400: rivals come apart, a bouncer comes back
    await delay(50 * 4 ** (run - 1) * (1 + Math.random()));
  }
}

async function runOnce<Result>(
  place: TransactionPlace,
  work: (transaction: Queryable) => Promise<Result>,
  options: TransactionOptions,
): Promise<Ended<Result>> {
  let session: Session;
  try {
    session = await openSession(place.pool, place.place);
  } catch (error) {
    return notCommitted(error);
  }
  try {
    return await runIn(session, place, { work, options });
  } finally {
    session.release();
  }
}

async function runIn<Result>(
  session: Session,
  place: TransactionPlace,
  { work, options }: { work: (transaction: Queryable) => Promise<Result>; options: TransactionOptions },
): Promise<Ended<Result>> {
  const timeoutMs = (options.statementTimeoutMs ?? 5_000) + ANSWER_MARGIN_MS;
  let begun: Begun;
  try {
    begun = await begin(session, { ...options, timeoutMs });
  } catch (error) {
    return notCommitted(error);
  }
  const statements = openStatements(session, place.place, { timeoutMs });
  const worked = await work(statements.queryable).then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  await statements.close();
  // A failed statement has doomed the transaction, whatever `work` made of it.
  const failure = statements.failure();
  if ('error' in worked || failure !== undefined) {
    await rollBack(session);
    return {
      isCommitted: false,
      error: 'error' in worked ? worked.error : failure,
      mayRunAgain: failure !== undefined && mayRunAgain(failure),
    };
  }
  const commit = await session
    .run('commit', [], { timeoutMs })
    .catch((caught: unknown) => databaseFailure(caught, place.place));
  if (!(commit instanceof Failure)) return { isCommitted: true, result: worked.result };
  if (!isAnswerLost(commit)) return notCommitted(commit);
  // Before another connection is asked for: with every one of the pool in this place, none would be free.
  session.release();
  const isCommitted = await findOutcome(place, { begun, lost: commit, wasCommitted: options.wasCommitted });
  return isCommitted ? { isCommitted, result: worked.result } : { isCommitted, error: commit, mayRunAgain: true };
}

function notCommitted(error: unknown): { isCommitted: false; error: unknown; mayRunAgain: boolean } {
  return { isCommitted: false, error, mayRunAgain: error instanceof Failure && mayRunAgain(error) };
}

/** What a transaction is known by, should the answer to its COMMIT be lost. */
type Begun = {
  id: string;
  /** When the server was started. */
  started: string;
  /** How far its write-ahead log was on disk. */
  flushed: string;
};

/**
 * One round trip. SET LOCAL, since the next transaction of this server connection may be anybody's. The transaction's id
 * is asked for at once, because it is what can be looked up should the answer to COMMIT be lost.
 */
async function begin(session: Session, options: TransactionOptions & { timeoutMs: number }): Promise<Begun> {
  const { isolation = 'read committed', lockTimeoutMs = 2_000, statementTimeoutMs = 5_000, timeoutMs } = options;
  const { idleTimeoutMs = 10_000, mayBeForgotten = false } = options;
  const { rows } = await session.run(
    `begin isolation level ${isolation}; ` +
      `set local lock_timeout = ${Math.trunc(lockTimeoutMs)}; ` +
      `set local statement_timeout = ${Math.trunc(statementTimeoutMs)}; ` +
      `set local idle_in_transaction_session_timeout = ${Math.trunc(idleTimeoutMs)}; ` +
      (mayBeForgotten ? 'set local synchronous_commit = off; ' : '') +
      `select pg_current_xact_id()::text as id, pg_postmaster_start_time()::text as started,
         pg_current_wal_flush_lsn()::text as flushed`,
    [],
    { timeoutMs },
  );
  return rows[0] as Begun;
}

async function rollBack(session: Session): Promise<void> {
  // A connection that cannot roll back is closed by its release, and the server rolls back.
  await session.run('rollback', [], { timeoutMs: ANSWER_MARGIN_MS }).catch(() => undefined);
}

/** Statements of `work`: one after the other, none after a failed one, none after the end. */
function openStatements(session: Session, place: string, { timeoutMs }: { timeoutMs: number }) {
  let last: Promise<unknown> = Promise.resolve();
  let failure: Failure | undefined;
  let isOpen = true;

  async function run(text: string, values: readonly unknown[]) {
    if (failure !== undefined) throw failure;
    try {
      return await session.run(text, values, { timeoutMs });
    } catch (caught) {
      failure = databaseFailure(caught, place);
      throw failure;
    }
  }

  const queryable: Queryable = {
    async query<Row extends object>(text: string, values: readonly unknown[] = []) {
      if (!isOpen)
        throw new Failure('internal', 'A statement came after the end of its transaction: await every query.');
      const answer = last.then(() => run(text, values));
      last = answer.catch(() => undefined);
      const { rows, rowCount } = await answer;
      return { rows: rows as Row[], rowCount };
    },
  };
  return {
    queryable,
    failure: () => failure,
    /** Waits for statements that `work` began and did not await. */
    async close() {
      isOpen = false;
      await last;
    },
  };
}

/** A server that answers COMMIT with an error has rolled back, unless it says that the connection or the time is over. */
function isAnswerLost(failure: Failure): boolean {
  return failure.code === 'unavailable' || failure.code === 'timeout' || failure.facts['sqlState'] === undefined;
}

/**
 * Was the transaction whose COMMIT got no answer committed? While the server still works on it there is no answer:
 * a run beside it would do its work twice. @throws Failure `outcome-unknown`.
 */
async function findOutcome(
  { pool, place }: TransactionPlace,
  lost: { begun: Begun; lost: Failure; wasCommitted: TransactionOptions['wasCommitted'] },
): Promise<boolean> {
  const queryable = openQueryable(Promise.resolve(pool), place, { timeoutMs: ANSWER_MARGIN_MS });
  const deadline = Date.now() + OUTCOME_WITHIN_MS;
  const unknown = (why: string, cause: unknown) =>
    new Failure('outcome-unknown', `The answer to COMMIT was lost and its outcome ${why} (${place}).`, { cause });
  let problem: unknown = lost.lost;
  for (let pauseMs = 50; Date.now() < deadline; pauseMs = Math.min(pauseMs * 2, 1_000)) {
    try {
      const status = await transactionStatus(queryable, lost.begun);
      if (status !== 'in progress' && lost.wasCommitted !== undefined) return await lost.wasCommitted(queryable);
      if (status === 'committed') return true;
      if (status === 'aborted') return false;
      if (status === 'maybe of another')
        throw unknown('cannot be told: the server has crashed since, or might have', lost.lost);
    } catch (error) {
      if (error instanceof Failure && error.code === 'outcome-unknown') throw error;
      problem = error;
    }
    await delay(pauseMs);
  }
  throw unknown(`could not be found out in ${OUTCOME_WITHIN_MS} ms`, problem);
}

type TransactionStatus = 'in progress' | 'committed' | 'aborted' | 'unknown' | 'maybe of another';

/**
 * A server that crashes forgets the ids whose records were not on its disk yet, and gives them out again: `committed` is
 * then said of somebody else's transaction. A crash of the whole server shows in its start; after one of a single
 * process it goes on by itself, with a checkpoint at the end of the log it found, which is no earlier than what was on
 * disk before. A checkpoint in the ordinary course looks the same: that there was one since is rare enough to be taken
 * for a crash. `aborted` needs no such care: whoever the id belongs to, ours was not committed.
 *
 * One that took another's place may not know the id: null when it is too old, 22023 when it is not reached yet.
 */
async function transactionStatus(queryable: Queryable, begun: Begun): Promise<TransactionStatus> {
  try {
    const { rows } = await queryable.query<{ status: 'in progress' | 'committed' | 'aborted' | null; same: boolean }>(
      `select pg_xact_status($1::text::xid8) as status,
         pg_postmaster_start_time() = $2::timestamptz and redo_lsn < $3::pg_lsn as same
       from pg_control_checkpoint()`,
      [begun.id, begun.started, begun.flushed],
    );
    const { status, same } = rows[0] ?? { status: null, same: false };
    return status === 'committed' && !same ? 'maybe of another' : (status ?? 'unknown');
  } catch (error) {
    if (error instanceof Failure && error.facts['sqlState'] === '22023') return 'unknown';
    throw error;
  }
}
