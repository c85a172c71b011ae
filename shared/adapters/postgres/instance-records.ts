import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer, Instance, InstanceStatus } from '#shared/domain/instance/instance.ts';
import { type InstanceEvent, statusAfter } from '#shared/domain/instance/transitions.ts';
import type { Queryable } from './database.ts';

type InstanceRow = {
  id: string;
  customer_id: string;
  name: string;
  host: string | null;
  cluster_id: string;
  desired_state: Instance['desiredState'];
  status: InstanceStatus;
  generation: string | number;
  observed_generation: string | number;
  modules: string[];
  settings: Record<string, string | number | boolean>;
  admin_login: string;
  language: string;
  scheme: string;
  public_port: number | null;
  plan: {
    id: string;
    cpu_millis: number;
    memory_mib: number;
    disk_gib: number;
    workers: number;
    cron_threads: number;
    database_connections: number;
    replicas: number;
  };
  image: {
    id: string;
    reference: string;
    odoo_version: string;
    edition: 'community' | 'enterprise';
    addons_digest: string;
    languages: string[];
  };
  server: ServerColumns | null;
};

type ServerColumns = {
  id: string;
  host: string;
  port: number;
  admin_user: string;
  secret_key: string;
  ssl_mode: string;
};

function serverOf(row: ServerColumns): DatabaseServer {
  return {
    id: row.id,
    host: row.host,
    port: row.port,
    adminUser: row.admin_user,
    secretKey: row.secret_key,
    sslMode: row.ssl_mode,
  };
}

// One round trip: the row with what it refers to.
const readText = `
  select i.id, i.customer_id, i.name, i.host, i.cluster_id, i.desired_state, i.status, i.generation,
    i.observed_generation, i.modules, i.settings, i.admin_login, i.language, c.scheme, c.public_port,
    to_jsonb(p) as plan, to_jsonb(m) as image, to_jsonb(s) as server
  from instances i
  join clusters c on c.id = i.cluster_id
  join plans p on p.id = i.plan_id
  join images m on m.id = i.image_id
  left join db_servers s on s.id = i.db_server_id
  where i.id = $1`;

/** An instance and how the world reaches it. */
export type LoadedInstance = { instance: Instance; publicUrl: string };

/** Reads an instance with its plan, image and server. @throws Failure `not-found`. */
export async function readInstance(queryable: Queryable, instanceId: string): Promise<LoadedInstance> {
  const { rows } = await queryable.query<InstanceRow>(readText, [instanceId]);
  const row = rows[0];
  if (row === undefined) throw new Failure('not-found', `There is no instance ${instanceId}.`);
  const host = row.host ?? '';
  const port = row.public_port === null ? '' : `:${row.public_port}`;
  return {
    publicUrl: `${row.scheme}://${host}${port}`,
    instance: {
      id: row.id,
      customerId: row.customer_id,
      name: row.name,
      host,
      clusterId: row.cluster_id,
      desiredState: row.desired_state,
      status: row.status,
      generation: Number(row.generation),
      observedGeneration: Number(row.observed_generation),
      modules: row.modules,
      settings: row.settings,
      adminLogin: row.admin_login,
      language: row.language,
      plan: {
        id: row.plan.id,
        cpuMillis: row.plan.cpu_millis,
        memoryMib: row.plan.memory_mib,
        diskGib: row.plan.disk_gib,
        workers: row.plan.workers,
        cronThreads: row.plan.cron_threads,
        databaseConnections: row.plan.database_connections,
        replicas: row.plan.replicas,
      },
      image: {
        id: row.image.id,
        reference: row.image.reference,
        odooVersion: row.image.odoo_version,
        edition: row.image.edition,
        addonsDigest: row.image.addons_digest,
        languages: row.image.languages,
      },
      databaseServer: row.server === null ? null : serverOf(row.server),
    },
  };
}

/** A change of status that took place. */
export type StatusChange = { from: InstanceStatus; to: InstanceStatus; generation: number; customerId: string };

/**
 * Moves an instance along the transition table, deciding from its locked row. Undefined when the table has no such
 * row: nothing is written then.
 */
export async function moveInstance(
  transaction: Queryable,
  instanceId: string,
  change: { event: InstanceEvent; reason: string | null; hasObserved?: boolean },
): Promise<StatusChange | undefined> {
  const { rows } = await transaction.query<{ status: InstanceStatus; generation: string; customer_id: string }>(
    'select status, generation, customer_id from instances where id = $1 for update',
    [instanceId],
  );
  const row = rows[0];
  if (row === undefined) throw new Failure('not-found', `There is no instance ${instanceId}.`);
  const to = statusAfter(row.status, change.event);
  if (to === undefined) return undefined;
  await transaction.query(
    `update instances set status = $2, status_reason = $3, updated_at = clock_timestamp(),
       observed_generation = case when $4 then generation else observed_generation end
     where id = $1`,
    [instanceId, to, change.reason, change.hasObserved ?? false],
  );
  return { from: row.status, to, generation: Number(row.generation), customerId: row.customer_id };
}

/** Frees the host of an instance that is over, so that its name can be used again. */
export async function freeHost(transaction: Queryable, instanceId: string): Promise<void> {
  await transaction.query(
    `update instances set host = null, desired_state = 'terminated', updated_at = clock_timestamp() where id = $1`,
    [instanceId],
  );
}
