import { Failure } from '#shared/domain/failure.ts';
import type { Queryable } from './database.ts';
import type { DriverClient, DriverPool } from './drivers.ts';
import { databaseFailure, isConnectionLoss } from './errors.ts';

/** What a statement came to. `command` is the server's word for it, such as COMMIT. */
type Answer = { rows: unknown[]; rowCount: number; command: string };

/** One connection, taken from the pool until `release`. */
export type Session = {
  /**
   * Runs one statement and waits `timeoutMs` for its answer.
   * @throws Failure; after a lost connection or a missed answer the connection is closed by `release`.
   */
  run(text: string, values: readonly unknown[], options: { timeoutMs: number }): Promise<Answer>;
  /** Harmless when done twice. */
  release(): void;
};

/** Takes a connection. @throws Failure `unavailable` or `misconfigured`. */
export async function openSession(pool: DriverPool, place: string): Promise<Session> {
  let client: DriverClient;
  try {
    client = await pool.connect();
  } catch (caught) {
    throw databaseFailure(caught, place);
  }
  let isBroken = false;
  let isReleased = false;
  // without a listener a connection that breaks while it is taken would end the process; the statement reports it
  const onError = () => {
    isBroken = true;
  };
  client.on('error', onError);
  return {
    async run(text, values, { timeoutMs }) {
      const deadline = startDeadline(timeoutMs, place);
      try {
        // no values: the simple protocol, which may hold several statements
        const sent = values.length === 0 ? client.query(text) : client.query(text, values as unknown[]);
        return lastAnswer(await Promise.race([sent, deadline.passed]));
      } catch (caught) {
        const failure = databaseFailure(caught, place);
        isBroken ||= isConnectionLoss(failure) || deadline.hasPassed();
        throw failure;
      } finally {
        deadline.stop();
      }
    },
    release() {
      if (isReleased) return;
      isReleased = true;
      client.removeListener('error', onError);
      client.release(isBroken);
    },
  };
}

/** Runs each statement on a connection of its own choice: outside any transaction. */
export function openQueryable(pool: Promise<DriverPool>, place: string, options: { timeoutMs: number }): Queryable {
  return {
    async query<Row extends object>(text: string, values: readonly unknown[] = []) {
      const session = await openSession(await pool, place);
      try {
        const { rows, rowCount } = await session.run(text, values, options);
        return { rows: rows as Row[], rowCount };
      } finally {
        session.release();
      }
    },
  };
}

/** After a process has stood still its timers come before the answers that arrived meanwhile: those are read first here. */
function startDeadline(timeoutMs: number, place: string) {
  const { promise, reject } = Promise.withResolvers<never>();
  let hasPassed = false;
  const pass = () => {
    hasPassed = true;
    reject(new Failure('timeout', `The database did not answer in ${timeoutMs} ms (${place}).`));
  };
  const timer = setTimeout(() => setImmediate(pass), timeoutMs);
  return { passed: promise, hasPassed: () => hasPassed, stop: () => clearTimeout(timer) };
}

function lastAnswer(result: unknown): Answer {
  // several statements give an array of results
  const last = (Array.isArray(result) ? result.at(-1) : result) as {
    rows: unknown[];
    rowCount: number | null;
    command: string;
  };
  return { rows: last.rows, rowCount: last.rowCount ?? 0, command: last.command };
}
