import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { type SharedServers, sharedServers } from './servers.ts';
import { asSuperuser } from './superuser.ts';

/** A platform database with all migrations and no rows of tests. */
export type FreshDatabase = {
  database: string;
  user: string;
  password: string;
  /** The server itself: for migrations, locks of sessions, and looking from outside. */
  direct: { host: string; port: number };
  /** The way functions go: PgBouncer in transaction mode. */
  pooled: { host: string; port: number };
};

/** Makes a database by TEMPLATE, in some 50 ms. It goes away with the run's servers, or by `dropDatabase`. */
export async function freshDatabase(servers: SharedServers = sharedServers()): Promise<FreshDatabase> {
  const database = `test_${randomBytes(6).toString('hex')}`;
  const text = `create database ${database} template ${servers.template} owner ${servers.platform.user}`;
  await asSuperuser(servers.postgres, (client) => client.query(text));
  const { host, port } = servers.postgres;
  return { database, ...servers.platform, direct: { host, port }, pooled: servers.pgbouncer };
}

/** Ends the sessions that are left in it, the pooler's among them. */
export async function dropDatabase(database: string, servers: SharedServers = sharedServers()): Promise<void> {
  const text = `drop database if exists ${database} with (force)`;
  await asSuperuser(servers.postgres, (client) => client.query(text));
}

/** One database for all tests of a file (or of a `describe`). Call it at the top; what it returns gives the database inside tests. */
export function databaseOfThisFile(): () => FreshDatabase {
  let made: FreshDatabase | undefined;
  beforeAll(async () => {
    made = await freshDatabase();
  });
  afterAll(async () => {
    if (made !== undefined) await dropDatabase(made.database);
  });
  return () => {
    if (made === undefined) throw new Error('the database is made in beforeAll: ask for it inside a test');
    return made;
  };
}

/** The settings with which a program of the fleet finds it. The file with the password is the caller's to write. */
export function platformSettings(
  { database, user, pooled }: Pick<FreshDatabase, 'database' | 'user' | 'pooled'>,
  passwordFile: string,
): Record<string, string> {
  return {
    PLATFORM_POSTGRES_HOST: pooled.host,
    PLATFORM_POSTGRES_PORT: String(pooled.port),
    PLATFORM_POSTGRES_DB: database,
    PLATFORM_POSTGRES_USER: user,
    PLATFORM_POSTGRES_PASSWORD_FILE: passwordFile,
  };
}
