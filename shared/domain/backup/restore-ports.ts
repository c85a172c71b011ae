import type { DatabaseServer } from '../instance/instance.ts';
import type { Fenced } from '../instance/ports.ts';

/** `switched`: the database is exchanged, the files are about to be. `failed`: what was live is live, nothing is left. */
export type RestoreState = 'running' | 'switched' | 'succeeded' | 'failed';

/** What is to be live: a backup of the instance, or the side that an earlier restore took out. */
export type RestoreSource = { backup: string } | { undoes: string };

/** A restore of one operation. */
export type Restore = {
  /** Of the operation. */
  id: string;
  instanceId: string;
  source: RestoreSource;
  state: RestoreState;
  /** Database and files are exchanged. */
  isWhole: boolean;
  /** The Job that exchanges the folders, from 1. */
  round: number;
  /** As that of a load. */
  jobKey: string;
  /** Until then the side that went out is there; null before the switch. */
  keepUntil: Date | null;
};

type Holder = { id: string; fence: number };

/** The platform's records of restores. Every write refuses an older fence: Failure `fenced`. */
export type RestoreRecords = {
  /**
   * Writes the intent, and checks the source again: from its commit on the side that is to be taken back is not removed.
   * Repeatable. @throws Failure `not-found` or `not-allowed` as the admission of a request.
   */
  begin(operation: Holder, intent: { instanceId: string; source: RestoreSource; jobKey: string }): Promise<Restore>;
  /** The Job of round `round` was lost. @throws Failure `conflict` when the restore does not run in that round. */
  another(operation: Holder, next: { round: number }): Promise<Restore>;
  /** The database is exchanged. Repeatable. */
  switched(operation: Holder): Promise<void>;
  /** The files are exchanged, too. Repeatable. */
  swapped(operation: Holder): Promise<void>;
  /** It is over; from now on the side that went out is kept for the time that the plan gives it. Repeatable. */
  succeed(operation: Holder): Promise<Restore>;
  read(operationId: string): Promise<Restore | undefined>;
};

/** The names of the databases, and of the folders, that change places. */
export type Sides = { incoming: string; outgoing: string };

/** The exchange of an instance's database. */
export type RestoreSides = {
  /** The server's major version. */
  majorVersion(server: DatabaseServer): Promise<number>;
  /**
   * `before`: both the live database and the incoming one are there. `after`: they have changed places.
   * @throws Failure `foreign-object` for any other state: a person must say which is which.
   */
  look(server: DatabaseServer, instanceId: string, sides: Sides): Promise<'before' | 'after'>;
  /** Is the database there that went out? */
  isOut(server: DatabaseServer, name: string): Promise<boolean>;
  /** Takes the tenant's login away, then ends his sessions. What is ended cannot come back. Repeatable. */
  lockOut(server: DatabaseServer, fenced: Fenced): Promise<void>;
  /**
   * One transaction: live becomes `outgoing` and is closed, `incoming` becomes live, is opened and given to the tenant, who
   * still may not log in. Repeatable.
   */
  exchange(server: DatabaseServer, fenced: Fenced, sides: Sides): Promise<void>;
  /** The tenant may log in again. Repeatable. */
  letIn(server: DatabaseServer, fenced: Fenced): Promise<void>;
  mayLogIn(server: DatabaseServer, instanceId: string): Promise<boolean>;
  /** Drops a side that went out, under no fence: the records say that nobody can take it back. Repeatable. */
  dropOldSide(server: DatabaseServer, name: string): Promise<void>;
};

/** What is put right in a loaded database. Sessions are the load's role's: nothing of a tenant's is run by the admin. */
export type RestoredState = {
  /** `database.uuid` of the live database, asked as the tenant; undefined when it cannot be told. */
  readUuid(server: DatabaseServer, instanceId: string, options: { password: string }): Promise<string | undefined>;
  /** Repeatable, one transaction. */
  putRight(
    server: DatabaseServer,
    fenced: Fenced,
    options: {
      session: { database: string; user: string; password: string };
      baseUrl: string;
      /** Undefined: the loaded one stays. */
      uuid: string | undefined;
    },
  ): Promise<void>;
};
