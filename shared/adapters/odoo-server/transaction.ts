import type { ClientBase, QueryResult } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import { breaksConnection } from './errors.ts';
import { quoteLiteral } from './quote.ts';

/** Several statements in one message: one round trip. Values must be quoted; the first error ends the batch. */
export async function batch(client: ClientBase, statements: readonly string[]): Promise<QueryResult[]> {
  const results: QueryResult | QueryResult[] = await client.query(statements.join(';\n'));
  return Array.isArray(results) ? results : [results];
}

export type TransactionOptions = {
  /** For this transaction only; the connection goes back to its pool with its own. */
  applicationName: string;
  /** Further statements in the round trip of BEGIN. */
  first?: readonly string[];
};

/**
 * What is done on a server is noted in the records as done: one that is set to answer before its log is on disk would forget it in
 * a crash. What was committed there before is on disk with it. Stricter settings stay.
 */
const commitsToDisk = `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`;

/**
 * Runs `work` in a transaction; `work` is given the results of `first`.
 * @throws Failure `outcome-unknown` when the answer to COMMIT was lost: look before doing it again.
 */
export async function inTransaction<T>(
  client: ClientBase,
  options: TransactionOptions,
  work: (first: readonly QueryResult[]) => Promise<T>,
): Promise<T> {
  const begin = ['BEGIN', commitsToDisk, `SET LOCAL application_name = ${quoteLiteral(options.applicationName)}`];
  let result: T;
  try {
    const results = await batch(client, [...begin, ...(options.first ?? [])]);
    result = await work(results.slice(begin.length));
  } catch (error) {
    // a lost connection has rolled back by itself
    if (!breaksConnection(error)) await rollback(client, error);
    throw error;
  }
  await commit(client);
  return result;
}

/** The first error is the one to report: a ROLLBACK that cannot be sent means a lost connection, which rolls back too. */
async function rollback(client: ClientBase, first: unknown): Promise<void> {
  try {
    await client.query('ROLLBACK');
  } catch {
    throw first;
  }
}

/** COMMIT that tells a transaction that was kept from one that was not, and both from one whose answer was lost. */
export async function commit(client: ClientBase): Promise<void> {
  let answer: QueryResult;
  try {
    answer = await client.query('COMMIT');
  } catch (error) {
    if (!breaksConnection(error)) throw error;
    throw new Failure('outcome-unknown', 'The answer to COMMIT was lost; whether it took place must be looked up');
  }
  // COMMIT of a transaction in which a statement failed answers ROLLBACK, without an error
  if (answer.command !== 'COMMIT') throw new Failure('internal', 'The transaction had failed and was rolled back');
}
