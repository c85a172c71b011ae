import { inspect } from 'node:util';
import { expect } from 'vitest';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { TcpProxy } from '../../tcp-proxy.ts';

export type OpenOptions = {
  maxConnections?: number;
  connectTimeoutMs?: number;
  queryTimeoutMs?: number;
  password?: string;
  onError?(failure: Failure): void;
};

/** One way to a real PostgreSQL. */
export type DatabaseSurroundings = {
  open(options?: OpenOptions): Database;
  /** One statement as superuser, straight to the server, on a connection of its own. */
  asAdmin(text: string, values?: readonly unknown[]): Promise<unknown[]>;
  /** Everything that `open` returns goes through it. */
  proxy: TcpProxy;
  /** Ends and starts the server that the proxy leads to. */
  restart(): Promise<void>;
};

/** What a test is given. */
export type World = {
  open(options?: OpenOptions): Database;
  database(): Database;
  surroundings(): DatabaseSurroundings;
};

/** The Failure a promise ends with; anything else fails the test. */
export const failureOf = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => expect.fail('nothing failed'),
    (error) => (error instanceof Failure ? error : expect.fail(`no Failure: ${inspect(error)}`)),
  );

export const add = (queryable: Queryable, name: string) =>
  queryable.query('insert into ledger (name, amount) values ($1, 1)', [name]);

export const backend = async (queryable: Queryable) =>
  (await queryable.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid;
