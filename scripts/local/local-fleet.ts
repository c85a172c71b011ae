import type { Queryable } from '#shared/adapters/postgres/database.ts';
import type { FleetServers } from '#shared/sandbox/fleet/servers.ts';

/** A fleet that runs on this machine, wherever its functions do, as the person at the terminal meets it. */
export type LocalFleet = {
  /** Where publishers post. */
  brokerUrl: string;
  /** The platform's records. */
  records: Queryable;
  /** Holds the databases of the instances. */
  odooServer: FleetServers['odoo'];
  /** Of the cluster that the instances are in. */
  kubeconfigFile: string;
  /** What the person may do to see why a Job or an operation failed. */
  whereToLook: string;
  /** How commands about it are given; undefined where they need more than this program knows. */
  commands?: string;
  /** Where its mails are, a file each. */
  mails?: string;
};

/** A fleet, and what was done to have it. */
export type StartedFleet = {
  fleet: LocalFleet;
  startSeconds: number;
  /** What ends with it and what is kept, in a sentence. */
  afterwards: string;
  stop(): Promise<void>;
};
