import type { DatabaseServer } from '../instance/instance.ts';
import type { Fenced, JobRunner } from '../instance/ports.ts';
import type { WorkerTask } from './job-names.ts';

/**
 * The role with which one Job reads an instance's database: a member of the tenant's role, so that it may read all of it.
 * It is there only while a backup is at work.
 */
export type BackupAccess = {
  /**
   * Makes the role, or gives the one that is there this password; the password goes over as a verifier. A tombstone is
   * opened to it. The role cannot log in any more after `validSeconds`, whatever becomes of this process. Repeatable.
   * @throws Failure `not-found` when the instance has no database, `foreign-object` when it has two.
   */
  open(
    server: DatabaseServer,
    fenced: Fenced,
    options: { password: string; validSeconds: number },
  ): Promise<{ user: string; database: string }>;
  /** Is there no such role, and no tombstone that takes connections? */
  isClosed(server: DatabaseServer, instanceId: string): Promise<boolean>;
  /** Ends the role's sessions, drops it, and closes the tombstone, if there is one. Repeatable. */
  close(server: DatabaseServer, fenced: Fenced): Promise<void>;
};

/** A database of a verification that may be needed no longer; of its operation the short id that is in its name. */
export type LeftVerification = { database: string; operation: string };

/** Databases for verifications, on servers where no tenant has a role. Each belongs to a role of its own of the same name. */
export type VerificationDatabases = {
  /**
   * Makes an empty database and its role. One of that name that is there is dropped first: it is from a Job that was lost.
   * The role cannot log in any more after `validSeconds`.
   */
  create(
    server: DatabaseServer,
    fenced: Fenced,
    options: { name: string; operationId: string; password: string; validSeconds: number },
  ): Promise<void>;
  isThere(server: DatabaseServer, name: string): Promise<boolean>;
  /** Ends the sessions in it, drops it and its role. Repeatable. */
  drop(server: DatabaseServer, fenced: Fenced, name: string): Promise<void>;
  /** Every verification's database on a server, by its name: those of operations that have ended are nobody's. */
  list(server: DatabaseServer): Promise<readonly LeftVerification[]>;
  /** Drops one of them under no fence: for what no operation knows any more. Repeatable. */
  sweep(server: DatabaseServer, name: string): Promise<void>;
};

/** One run of the worker image. */
export type WorkerJob = {
  name: string;
  /** The instance's id; a label. */
  owner: string;
  operationId: string;
  task: WorkerTask;
  image: string;
  /** The order as JSON: it holds keys and passwords, and is kept in a Secret of the Job's name that goes with it. */
  order: string;
  /** The instance's volume, at Odoo's data folder. Null: none. */
  volume: {
    claimName: string;
    /** Pods of the instance are there: only their node can mount it. */
    isInUse: boolean;
    /** The Job may write to it. Not unless stated. */
    isWritable?: boolean;
  } | null;
  memoryMib: number;
  deadlineSeconds: number;
};

/** One start of Odoo on a restored database: the instance's image beside the worker's. */
export type BootJob = {
  name: string;
  /** The instance's id; a label. */
  owner: string;
  operationId: string;
  /** Odoo's. */
  image: string;
  workerImage: string;
  /** The `BootOrder` as JSON; with odoo.conf it is kept in a Secret of the Job's name that goes with it. */
  order: string;
  odooConf: string;
  /** Of Odoo: plain values, never a secret. */
  environment: Readonly<Record<string, string>>;
  memoryMib: number;
  deadlineSeconds: number;
};

/** Jobs of the worker image, in the tenants' namespace. */
export type WorkerJobs = JobRunner<WorkerJob> & {
  /** All there are, those that start Odoo included, for the sweep: those of operations that have ended are nobody's. */
  list(): Promise<readonly { name: string; operationId: string | null; instanceId: string }[]>;
};
