/** What is seen of an instance. Changes only through the transition table. */
export const instanceStatuses = [
  'creating',
  'starting',
  'running',
  'stopping',
  'stopped',
  'restarting',
  'updating',
  'maintenance',
  'suspended',
  'missing',
  'error',
  'terminating',
  'terminated',
] as const;
export type InstanceStatus = (typeof instanceStatuses)[number];

/** Limits an instance is sold with. Units are in the names; `cpuMillis` 1000 is one core. */
export type Plan = {
  id: string;
  cpuMillis: number;
  memoryMib: number;
  diskGib: number;
  /** Odoo worker processes; 0 is the threaded server. */
  workers: number;
  cronThreads: number;
  /** CONNECTION LIMIT of the tenant's role. */
  databaseConnections: number;
  replicas: number;
};

/** An Odoo image the fleet may run. */
export type Image = {
  id: string;
  /** Container image reference, by digest in production. */
  reference: string;
  odooVersion: string;
  edition: 'community' | 'enterprise';
  addonsDigest: string;
  languages: readonly string[];
};

/** One Odoo PostgreSQL server. `secretKey` names a key in the mounted Secret with the admins' passwords. */
export type DatabaseServer = {
  id: string;
  host: string;
  port: number;
  adminUser: string;
  secretKey: string;
  /** libpq's word: disable, require, verify-full. */
  sslMode: string;
};

/** What an Odoo PostgreSQL server is for. One for verifications holds restored backups to look at, and no instance. */
export type ServerPurpose = 'tenants' | 'verification';

/** Why a provider keeps an instance from running. A customer's own wish is `stop`. */
export const suspensionReasons = ['billing', 'abuse'] as const;
export type SuspensionReason = (typeof suspensionReasons)[number];

/** One customer's Odoo, as the platform's records hold it. */
export type Instance = {
  id: string;
  customerId: string;
  /** DNS label, the first part of `host`. */
  name: string;
  host: string;
  /** The customer's own hosts that lead here, proven to be his, sorted. */
  domains: readonly string[];
  clusterId: string;
  desiredState: 'running' | 'stopped' | 'terminated';
  /** Reasons of the suspensions that are open. */
  suspensions: readonly SuspensionReason[];
  /** The operation whose restart its pods must have seen; null before the first. */
  restartedBy: string | null;
  /** The instance it is a staging copy of. Such a one is kept from the world for good: see `networkPolicy`. */
  clonedFrom: string | null;
  status: InstanceStatus;
  generation: number;
  observedGeneration: number;
  plan: Plan;
  image: Image;
  /** Null until placed. */
  databaseServer: DatabaseServer | null;
  /** Odoo modules asked for, sorted; `base` is always there. */
  modules: readonly string[];
  /** Customer's own odoo.conf settings, already checked against the reserved ones. */
  settings: Readonly<Record<string, string | number | boolean>>;
  /** Login of Odoo's administrator: the owner's e-mail address. */
  adminLogin: string;
  language: string;
};

/** An instance runs only if that is desired and no suspension is open. Replicas follow this and nothing else. */
export function isWantedRunning(instance: Pick<Instance, 'desiredState' | 'suspensions'>): boolean {
  return instance.desiredState === 'running' && instance.suspensions.length === 0;
}

/** Was it ever brought about? False until its provisioning has ended well. */
export function isMade(instance: Pick<Instance, 'observedGeneration'>): boolean {
  return instance.observedGeneration > 0;
}
