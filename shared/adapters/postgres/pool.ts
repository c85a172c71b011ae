import type { Failure } from '#shared/domain/failure.ts';
import type { Database } from './database.ts';
import { type DriverOptions, type DriverPool, openNeonPool, openPgPool } from './drivers.ts';
import { databaseFailure } from './errors.ts';
import { openQueryable } from './session.ts';
import { runTransaction } from './transaction.ts';

export type OpenDatabaseOptions = Omit<DriverOptions, 'maxConnections' | 'connectTimeoutMs'> & {
  driver: 'pg' | 'neon';
  /** Default 5. Times the number of pods it must fit into what PgBouncer lets in. */
  maxConnections?: number;
  /** For a new connection, and for a free one of a full pool. Default 5,000 ms. */
  connectTimeoutMs?: number;
  /** For the answer to a statement outside a transaction. Default 8,000 ms: less than what the caller of a request waits. */
  queryTimeoutMs?: number;
  /** Told when a kept connection breaks while nobody uses it. The pool replaces it; this is for the log. */
  onError(failure: Failure): void;
};

/**
 * A pool of connections, to be kept for the life of the process. Connects with the first statement.
 *
 * A statement outside a transaction is sent once: when its connection is lost (`unavailable`) or its answer does not come
 * (`timeout`) it may have been done. Nothing here logs, and no Failure holds a value of a row or a statement.
 */
export function openDatabase(options: OpenDatabaseOptions): Database {
  const { driver, maxConnections = 5, connectTimeoutMs = 5_000, queryTimeoutMs = 8_000, onError } = options;
  const place = `database ${options.database} at ${options.host}:${options.port}`;
  const settings: DriverOptions = { ...options, maxConnections, connectTimeoutMs };
  let pool: DriverPool | undefined;
  let ending: Promise<void> | undefined;

  const opening = (driver === 'neon' ? openNeonPool(settings) : openPgPool(settings)).then((opened) => {
    opened.on('error', (error) => {
      if (ending === undefined) onError(databaseFailure(error, place));
    });
    pool = opened;
    return opened;
  });
  // the driver is loaded beside the rest of a start; whoever asks first is told when it cannot be
  opening.catch(() => undefined);

  return {
    ...openQueryable(opening, place, { timeoutMs: queryTimeoutMs }),
    async transaction(work, transactionOptions = {}) {
      return runTransaction({ pool: await opening, place }, work, transactionOptions);
    },
    stats: () => ({
      total: pool?.totalCount ?? 0,
      idle: pool?.idleCount ?? 0,
      waiting: pool?.waitingCount ?? 0,
      max: maxConnections,
    }),
    end() {
      ending ??= opening.then((opened) => opened.end());
      return ending;
    },
  };
}
