import { createHash } from 'node:crypto';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { testInstanceId } from '#shared/testing/fleet-rows.ts';
import type { Route } from './route.ts';

/** How each route is asked so that it has something to do, and what it answers when all is well. */
type Recipe = {
  well: number;
  /** What the same call answers once it was done, where it is not kept by its key. */
  again?: number;
  body?: (own: Own) => unknown;
  /** Of an instance with a succeeded operation, a proven backup and so on: what is to be otherwise. */
  ready?: string;
};

/** Rows of one call's own. */
export type Own = {
  customer: string;
  instance: string;
  uuid: string;
  key: string;
  host: string;
  word: string;
  sequence: number;
};

/** An instance that was terminated, and is kept for so long. */
const terminated = (
  kept: string,
) => `update instances set desired_state = 'terminated', status = 'terminated', desired_before = 'running',
  terminated_at = now(), purge_after = now() + interval '${kept}', observed_generation = generation where id = $1`;

/** By `operationId`. A route without a recipe fails the test: what does it answer when a part is away? */
export const recipes: Readonly<Record<string, Recipe>> = {
  listInstances: { well: 200 },
  getInstance: { well: 200 },
  getInstancePlan: { well: 200 },
  listFindings: { well: 200 },
  listOperations: { well: 200 },
  getOperation: { well: 200 },
  followOperation: { well: 200 },
  listBackups: { well: 200 },
  getBackup: { well: 200 },
  listPlans: { well: 200 },
  listDatabaseServers: { well: 200 },
  getDatabaseServer: { well: 200 },
  listDeadEvents: { well: 200 },
  getDeadEvent: { well: 200 },
  replayDeadEvent: { well: 200 },
  discardDeadEvent: { well: 200 },
  listAudit: { well: 200 },
  getHealth: { well: 200 },
  getOpenApi: { well: 200 },
  getDocs: { well: 200 },
  getCaller: { well: 200 },
  getConsole: { well: 200 },
  getConsoleFile: { well: 200 },
  createInstance: {
    well: 202,
    body: ({ word, customer }) => ({ name: `m-${word}`, customer, plan: 'small', owner: { email: 'o@acme.example' } }),
  },
  changeInstance: { well: 202, body: () => ({ settings: { transient_age_limit: 3 } }) },
  deleteInstance: { well: 202 },
  startInstance: { well: 202 },
  stopInstance: { well: 202 },
  restartInstance: { well: 202 },
  suspendInstance: { well: 202, body: () => ({ cause: 'abuse' }) },
  resumeInstance: {
    well: 202,
    body: () => ({ cause: 'abuse' }),
    ready: `insert into suspensions (instance_id, reason, cause) values ($1, 'abuse', 'e-1')`,
  },
  terminateInstance: { well: 202 },
  undoInstance: { well: 202, ready: terminated('1 day') },
  purgeInstance: { well: 202, body: () => ({ withoutBackup: true }), ready: terminated('-1 day') },
  repairInstance: { well: 202 },
  backupInstance: { well: 202 },
  verifyInstance: { well: 202 },
  restoreInstance: { well: 202, body: ({ uuid }) => ({ backup: uuid }) },
  exportInstance: { well: 202 },
  cloneInstance: { well: 202, body: ({ word }) => ({ name: `c-${word}` }) },
  verifyBackup: { well: 202 },
  commandInstances: { well: 200, body: ({ instance }) => ({ command: 'stop', instances: [instance] }) },
  retryOperation: {
    well: 202,
    ready: `update operations set state = 'failed', error_code = 'job-failed', error_text = 'It ended.' where instance_id = $1`,
  },
  cancelOperation: {
    well: 202,
    ready: `update operations set state = 'running', finished_at = null where instance_id = $1`,
  },
  listKeys: { well: 200 },
  createKey: { well: 201, body: ({ word, customer }) => ({ name: word, role: 'customer', customer }) },
  getKey: { well: 200 },
  revokeKey: { well: 204 },
  listCustomers: { well: 200 },
  getCustomer: { well: 200 },
  setCustomer: { well: 200, body: () => ({ quota: 100_000 }) },
  listDomains: { well: 200 },
  addDomain: { well: 201, again: 200, body: ({ word }) => ({ host: `added-${word}.example.com` }) },
  verifyDomain: { well: 200 },
  removeDomain: { well: 204, again: 404 },
  listWebhookEndpoints: { well: 200 },
  createWebhookEndpoint: {
    well: 201,
    body: ({ word, customer }) => ({ url: `https://${word}.example.com/`, customer }),
  },
  getWebhookEndpoint: { well: 200 },
  changeWebhookEndpoint: { well: 200, body: () => ({ description: 'Another' }) },
  deleteWebhookEndpoint: { well: 204, again: 404 },
  rotateWebhookSecret: { well: 200, body: () => ({ overlapHours: 1 }) },
  listWebhookDeliveries: { well: 200 },
  getWebhookDelivery: { well: 200 },
  redeliverWebhook: { well: 202 },
  replayWebhooks: { well: 202, body: () => ({ since: '2027-02-01T10:00:00Z' }) },
  getFirstLoginPage: { well: 200 },
  // of no link that there is: one that is used up tells nothing when it is asked for again
  useFirstLogin: { well: 404, body: () => ({ token: 'a'.repeat(43) }) },
  listBouncedAddresses: { well: 200 },
  clearBouncedAddress: { well: 204, again: 404, body: ({ word }) => ({ address: `${word}@acme.example` }) },
};

/** Routes that look into no store. */
export const needNothing: ReadonlySet<string> = new Set([
  'getOpenApi',
  'getDocs',
  'getConsole',
  'getConsoleFile',
  'getFirstLoginPage',
]);

export const proofToken = 'a'.repeat(32);

/** Names of rows that are nobody else's. */
export function ownOf(number: number): Own {
  const instance = testInstanceId(number);
  return {
    customer: `c-w${number}`,
    instance,
    uuid: `0198c0de-0000-7000-8000-${String(number).padStart(12, '0')}`,
    key: `aaaa${instance}`,
    host: `h-${number}.example.com`,
    word: `w${number}`,
    sequence: number,
  };
}

/** The route's address for those rows. */
export function pathOf({ path }: Pick<Route, 'path'>, own: Own): string {
  const values: Readonly<Record<string, string>> = {
    id: idOf(path, own),
    sequence: String(own.sequence),
    delivery: own.uuid,
    host: own.host,
    file: 'console.js',
  };
  return path.replaceAll(/\{([a-zA-Z]+)\}/g, (_all, name: string) => values[name] ?? `no-value-for-${name}`);
}

function idOf(path: string, own: Own): string {
  if (path.startsWith('/v1/instances/')) return own.instance;
  if (path.startsWith('/v1/keys/')) return own.key;
  if (path.startsWith('/v1/customers/')) return own.customer;
  if (path.startsWith('/v1/db-servers/')) return 'pg-1';
  return own.uuid;
}

/** Everything that a call may be about. */
export async function insertOwn(database: Queryable, own: Own): Promise<void> {
  const { customer, instance, uuid, key, host, word, sequence } = own;
  const statements: [string, ...unknown[]][] = [
    ['insert into customers (id, quota) values ($1, 100)', customer],
    [
      `insert into instances (id, customer_id, name, host, cluster_id, plan_id, image_id, db_server_id, admin_login, status,
         observed_generation)
       values ($1, $3, $2, $2 || '.odoo.example', 'default', 'small', 'odoo-19', 'pg-1', 'o@acme.example', 'running', 1)`,
      instance,
      word,
      customer,
    ],
    [
      `insert into operations (id, instance_id, kind, definition_version, state, step, deadline, idempotency_key,
         requested_by, cause, request, started_at, finished_at)
       values ($1::uuid, $2, 'backup', 1, 'succeeded', 'end', now() + interval '1 hour', $1::text, 'user:x', 'e-1', '{}',
         now(), now())`,
      uuid,
      instance,
    ],
    [
      `insert into backups (id, instance_id, customer_id, kind, state, round, server_id, dump_key, started_at, finished_at,
         snapshot_at, manifest_key, manifest_sha256, dump_bytes, files_bytes, files_count, uploaded_bytes, proof, proof_at,
         keep_until, summary)
       values ($1, $2, $3, 'manual', 'succeeded', 1, 'pg-1', 'wrapped', now(), now(), now(), 'place', repeat('0', 64),
         10, 20, 2, 5, 'proven', now(), now() + interval '9 days', '{"odooVersion": "19.0"}')`,
      uuid,
      instance,
      customer,
    ],
    [
      `insert into dead_events (sequence, source, id, type, received_by, reason_code, reason, body, digest)
       overriding system value values ($1, 'urn:x', $2, 'some.type', 'stop', 'invalid-event', 'It is wrong.', '{}', $3)`,
      sequence,
      word,
      createHash('sha256').update(word).digest(),
    ],
    [
      `insert into api_keys (id, name, secret_sha256, role, scopes, created_by, expires_at)
       values ($1, 'a key', $2, 'admin', '{instances:read}', 'user:x', now() + interval '1 day')`,
      key,
      createHash('sha256').update(word).digest(),
    ],
    [
      `insert into custom_domains (host, instance_id, token, created_by) values ($1, $2, $3, 'user:x')`,
      host,
      instance,
      proofToken,
    ],
    [
      `insert into webhook_endpoints (id, customer_id, url, secret, since)
       values ($1, $2, 'https://hooks.example.com/', 'wrapped', '2027-01-01Z')`,
      uuid,
      customer,
    ],
    [
      `insert into webhook_deliveries (id, endpoint_id, event_id, type, instance_id, stream, sequence, body, state, attempts)
       values ($1, $1, $1, 'some.type', $2, $2, 1, '{}', 'failed', 3)`,
      uuid,
      instance,
    ],
    [`insert into bounced_addresses (address, reason) values ($1, '550 5.1.1 No such user')`, `${word}@acme.example`],
  ];
  for (const [text, ...values] of statements) await database.query(text, values);
}
