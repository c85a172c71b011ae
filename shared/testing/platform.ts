import { afterAll, beforeAll } from 'vitest';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { databaseOfThisFile, type FreshDatabase } from './databases.ts';

/**
 * With transactions that wait longer for a row than a function's: many at once queue for one, and while a busy machine
 * stands still nobody goes on.
 */
export function patient(database: Database): Database {
  const limits = { lockTimeoutMs: 20_000, statementTimeoutMs: 20_000 };
  return { ...database, transaction: (work, options) => database.transaction(work, { ...limits, ...options }) };
}

/**
 * A platform database of this file's own, opened through PgBouncer as functions do it. Call it at the top. `made` is the
 * database itself, for files that hand its address to somebody else.
 */
export function platformOfThisFile(made: () => FreshDatabase = databaseOfThisFile()): () => Database {
  let opened: Database | undefined;
  beforeAll(() => {
    const { database, user, password, pooled } = made();
    opened = patient(
      openDatabase({
        driver: 'pg',
        ...pooled,
        database,
        user,
        password,
        applicationName: 'test',
        sslMode: 'disable',
        connectTimeoutMs: 20_000,
        // the statement that meets it reports it
        onError: () => undefined,
      }),
    );
  });
  afterAll(() => opened?.end());
  return () => {
    if (opened === undefined) throw new Error('the database is opened in beforeAll: ask for it inside a test');
    return opened;
  };
}
