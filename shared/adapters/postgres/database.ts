/** Something that runs one statement: a pool or an open transaction. Unnamed statements only, for PgBouncer's sake. */
export type Queryable = {
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<{ rows: Row[]; rowCount: number }>;
};

/** How full a pool is. */
export type PoolStats = { total: number; idle: number; waiting: number; max: number };

export type TransactionOptions = {
  /** `SET LOCAL statement_timeout`. Default 5,000 ms. */
  statementTimeoutMs?: number;
  /** `SET LOCAL lock_timeout`. Default 2,000 ms. */
  lockTimeoutMs?: number;
  /**
   * Asked when the answer to COMMIT was lost: has the work of this transaction been done? Runs on another connection.
   * Without it such a transaction ends with Failure `outcome-unknown`.
   */
  wasCommitted?: (queryable: Queryable) => Promise<boolean>;
};

/** The platform's records, through PgBouncer in transaction mode. */
export type Database = Queryable & {
  /**
   * Runs `work` in one transaction. Serialization failures, deadlocks and a connection lost before COMMIT was sent
   * run it again (at most three times): `work` must have no effects but its statements.
   */
  transaction<Result>(work: (transaction: Queryable) => Promise<Result>, options?: TransactionOptions): Promise<Result>;
  stats(): PoolStats;
  end(): Promise<void>;
};
