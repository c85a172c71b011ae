import type { DatabaseServer } from '../instance/instance.ts';
import type { Fenced } from '../instance/ports.ts';
import type { LoadResult } from './load-result.ts';

/** A database that was made for a load and may be needed no longer; of its operation the short id that is in its name. */
export type LeftLoad = { database: string; instanceId: string; operation: string };

/**
 * Databases for loads, on the server of the instance they are for: `load_<instance>_<operation>_<round>`, each owned by a
 * role of its own of the same name, and open to that role alone, until it is handed over.
 */
export type LoadDatabases = {
  /**
   * Makes an empty database and its role, named by `loadDatabaseName`. One of that name that is there is dropped first: it
   * is from a Job that was lost. The role cannot log in any more after `validSeconds`.
   */
  create(
    server: DatabaseServer,
    fenced: Fenced,
    options: { operationId: string; round: number; password: string; validSeconds: number },
  ): Promise<{ database: string; user: string }>;
  /** The database or its role. */
  isThere(server: DatabaseServer, name: string): Promise<boolean>;
  /** Was it handed over? Then its role is gone, and it is the owner role's, or bears the live name already. */
  isHandedOver(server: DatabaseServer, instanceId: string, name: string): Promise<boolean>;
  /**
   * Gives what is in the database to the tenant's role, which must be there: one transaction inside it, in which nothing of
   * a tenant's is run; the database to the owner role; the role of the load goes. CONNECT is not given
   * to the tenant. Repeatable.
   * @throws Failure `not-found` when there is no such database.
   */
  handOver(server: DatabaseServer, fenced: Fenced, name: string): Promise<void>;
  /**
   * A database that was handed over becomes the live one of an instance that has none, and its tenant may connect.
   * Repeatable. @throws Failure `not-allowed` when another is live or set aside, `not-found` when there is neither.
   */
  takeName(server: DatabaseServer, fenced: Fenced, name: string): Promise<void>;
  /** Ends the sessions in it, drops it and its role. Repeatable. */
  drop(server: DatabaseServer, fenced: Fenced, name: string): Promise<void>;
  /** Every load's database on a server, by its name: those of operations that have ended are nobody's. */
  list(server: DatabaseServer): Promise<readonly LeftLoad[]>;
  /** Drops one of them under no fence: for what no operation knows any more. Repeatable. */
  sweep(server: DatabaseServer, name: string): Promise<void>;
};

/** `failed`: nothing of it is left, or will be; a retry begins with the next round. */
export type LoadState = 'running' | 'loaded' | 'failed';

/** A load of one operation: of a restore, a clone or an import. */
export type Load = {
  /** Of the operation. */
  id: string;
  instanceId: string;
  serverId: string;
  /** The Job that does it, from 1: one that was lost is begun anew under the next number. */
  round: number;
  /** What the passwords and the signatures of its Jobs are derived from (`jobSecrets`), wrapped for `loadKeyContext`. */
  jobKey: string;
  state: LoadState;
  result: LoadResult | null;
};

type Holder = { id: string; fence: number };

/** The platform's records of loads. Every write refuses an older fence: Failure `fenced`. */
export type LoadRecords = {
  /**
   * Round 1, or the next one after it had failed. Repeatable: while it runs, or is loaded, it is returned as it is, with the
   * key it has. From its commit on the backup, if it is one, is not deleted before the load has ended.
   * @throws Failure `not-found` when there is no such instance, or no such backup that succeeded, `not-allowed` when the
   * instance is on no server.
   */
  begin(operation: Holder, intent: { instanceId: string; backupId: string | null; jobKey: string }): Promise<Load>;
  /** The Job of round `round` was lost: the next one. @throws Failure `conflict` when that round does not run. */
  another(operation: Holder, next: { round: number; jobKey: string }): Promise<Load>;
  /** What the Job restored is what its source says. Repeatable. */
  succeed(operation: Holder, success: { round: number; result: LoadResult }): Promise<void>;
  read(operationId: string): Promise<Load | undefined>;
  /**
   * Other loads of the instance whose operations are over and that wait for nothing more, the newest twenty: their folders
   * are nobody's.
   */
  listOver(operationId: string, instanceId: string): Promise<readonly Pick<Load, 'id' | 'round'>[]>;
};
