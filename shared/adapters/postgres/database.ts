/** Something that runs one statement: a pool or an open transaction. Unnamed statements only, for PgBouncer's sake. */
export type Queryable = {
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<{ rows: Row[]; rowCount: number }>;
};

/** How full a pool is. */
type PoolStats = { total: number; idle: number; waiting: number; max: number };

export type TransactionOptions = {
  /** Default read committed. */
  isolation?: 'read committed' | 'repeatable read' | 'serializable';
  /** `SET LOCAL statement_timeout`. Default 5,000 ms. */
  statementTimeoutMs?: number;
  /** `SET LOCAL lock_timeout`. Default 2,000 ms. */
  lockTimeoutMs?: number;
  /**
   * `SET LOCAL idle_in_transaction_session_timeout`, between two statements. Default 10,000 ms: longer than publishing
   * what the outbox holds, and less than an operation's lease. A process that stands still (a frozen node, a long pause)
   * would keep its rows locked for as long as it does, and nobody could take its operation over.
   */
  idleTimeoutMs?: number;
  /**
   * `SET LOCAL synchronous_commit = off`: COMMIT does not wait for the disk, and a server that crashes in the next moment forgets
   * the transaction as a whole. Only for notes whose work may be done again.
   */
  mayBeForgotten?: boolean;
  /**
   * Asked when the answer to COMMIT was lost and the transaction is over: has its work been done? Runs on another
   * connection. Rarely needed: without it the server is asked what became of the transaction's id (`pg_xact_status`),
   * and believed when it cannot have crashed, or been replaced, since the transaction began.
   */
  wasCommitted?: (queryable: Queryable) => Promise<boolean>;
};

/** The platform's records, through PgBouncer in transaction mode. */
export type Database = Queryable & {
  /**
   * Runs `work` in one transaction. Serialization failures, deadlocks and a connection lost before COMMIT was sent
   * run it again (at most three times): `work` must have no effects but its statements. A statement that failed dooms
   * the transaction, also when `work` catches its Failure.
   * @throws what `work` throws; Failure `conflict` (lock or rivals), `constraint-violated` (`facts.constraint`), `timeout`,
   * `unavailable`, `misconfigured`; `outcome-unknown` when the answer to COMMIT was lost and the server could not be asked,
   * or may have crashed since.
   */
  transaction<Result>(work: (transaction: Queryable) => Promise<Result>, options?: TransactionOptions): Promise<Result>;
  stats(): PoolStats;
  end(): Promise<void>;
};
