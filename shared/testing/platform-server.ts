import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { type MigrateOptions, migrate } from '#shared/adapters/postgres/migrate.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { openProcessGroup } from '#shared/sandbox/processes.ts';
import { type PostgresServer, startPostgres } from '#shared/sandbox/servers/postgres.ts';

/** A PostgreSQL of one test file's own. */
export type PlatformServer = {
  server: PostgresServer;
  /** One statement as superuser, in a database of its own. */
  asAdmin<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** An empty database. */
  createDatabase(): Promise<MigrateOptions>;
  /** A migrated one, opened. Ended by `stop`. */
  createPlatform(): Promise<Database>;
  stop(): Promise<void>;
};

export async function startPlatformServer(): Promise<PlatformServer> {
  const processes = await openProcessGroup();
  const folder = await mkdtemp(join(tmpdir(), 'platform-'));
  const server = await startPostgres({ processes, folder, name: 'platform', durable: false });
  const connection = (database: string) => ({
    host: server.host,
    port: server.port,
    database,
    user: server.superuser,
    password: server.superuserPassword,
  });
  const opened: Database[] = [];
  const open = (database: string): Database => {
    const one = openDatabase({
      ...connection(database),
      driver: 'pg',
      applicationName: 'test',
      sslMode: 'disable',
      onError: () => undefined,
    });
    opened.push(one);
    return one;
  };
  const control = open('postgres');
  let count = 0;
  async function createDatabase(): Promise<MigrateOptions> {
    count += 1;
    await control.query(`create database test_${count}`);
    return connection(`test_${count}`);
  }
  return {
    server,
    asAdmin: async <Row extends object>(text: string, values: readonly unknown[] = []) =>
      (await control.query<Row>(text, values)).rows,
    createDatabase,
    async createPlatform() {
      const target = await createDatabase();
      await migrate(target);
      return open(target.database);
    },
    async stop() {
      await Promise.all(opened.map((one) => one.end()));
      await processes.stopAll();
      await removeTree(folder);
    },
  };
}
