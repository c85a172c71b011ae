import { join } from 'node:path';
import { PG_MIGRATE_LOCK_ID, runner } from 'node-pg-migrate';
import { Client } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import { type DriverOptions, tlsOf } from './drivers.ts';
import { databaseFailure } from './errors.ts';

export type MigrateOptions = {
  /** The server itself, never PgBouncer: the lock belongs to a session. */
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  /** Default `disable`. */
  sslMode?: DriverOptions['sslMode'];
  /** Told, in a line each, what is waited for and what is done. */
  onProgress?(line: string): void;
};

/** Where node-pg-migrate writes down what it has run. */
export const migrationsTable = 'schema_migrations';

/** A migration that cannot get its table's lock gives up, instead of making everybody else queue behind it. */
const LOCK_TIMEOUT = '5s';

/**
 * Brings the database's schema up to date and returns the names of the migrations that were run: all of them in one
 * transaction, or none. Processes that do so at the same time wait for the first one and then find nothing to do.
 * @throws Failure `conflict` when a table is locked for too long (run it again), `unavailable`, `misconfigured`, `internal`.
 */
export async function migrate(options: MigrateOptions): Promise<{ applied: string[] }> {
  const { host, port, database, user, password, sslMode = 'disable', onProgress = () => undefined } = options;
  const place = `database ${database} at ${host}:${port}`;
  const client = new Client({
    host,
    port,
    database,
    user,
    password,
    ssl: tlsOf({ sslMode }),
    application_name: 'fleet-migrate',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  // a connection that breaks is reported by the statement that meets it
  client.on('error', () => undefined);
  try {
    await client.connect();
    await takeLock(client, onProgress);
    await client.query(`set lock_timeout = '${LOCK_TIMEOUT}'`);
    const done = await runner({
      dbClient: client,
      dir: join(import.meta.dirname, 'migrations'),
      migrationsTable,
      direction: 'up',
      singleTransaction: true,
      // ours is the same lock, taken before lock_timeout counts
      noLock: true,
      // its log quotes whole statements; what matters is in the error and in what is returned
      logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
    });
    for (const { name } of done) onProgress(`applied ${name}`);
    return { applied: done.map(({ name }) => name) };
  } catch (caught) {
    throw migrationFailure(caught, place);
  } finally {
    // ends the session and with it the lock
    await client.end().catch(ignore);
  }
}

async function takeLock(client: Client, onProgress: (line: string) => void): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [
    PG_MIGRATE_LOCK_ID,
  ]);
  if (rows[0]?.taken === true) return;
  onProgress('another process is migrating this database: waiting for it');
  await client.query('select pg_advisory_lock($1)', [PG_MIGRATE_LOCK_ID]);
}

function migrationFailure(caught: unknown, place: string): Failure {
  const failure = databaseFailure(caught, place);
  // statements of a migration hold no row's values: the server's own words are what its author needs
  const words = caught instanceof Error && failure.code === 'internal' ? `: ${caught.message}` : '';
  return new Failure(
    failure.code,
    `The schema could not be brought up to date, nothing was changed${words}. ${failure.message}`,
    {
      cause: failure,
      facts: failure.facts,
    },
  );
}

function ignore(): void {}
