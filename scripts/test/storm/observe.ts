import { request } from 'undici';
import type { Fleet } from '#shared/sandbox/fleet/start.ts';
import type { ClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { listObjects, queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import type { AuditEntry } from './model.ts';
import { type BackupsSeen, observeBackups } from './observe-backups.ts';

/** An instance's row after the storm. */
export type InstanceRow = {
  id: string;
  name: string;
  status: string;
  desired_state: string;
  host: string | null;
  generation: number;
  observed_generation: number;
  db_server_id: string | null;
  purged_at: Date | null;
  restarted_by: string | null;
  suspensions: string[];
};

export type OperationRow = {
  id: string;
  instance_id: string;
  kind: string;
  state: string;
  step: string | null;
  waiting_for: string | null;
  /** Seconds since it was due. */
  overdue: number | null;
  error_code: string | null;
  error_text: string | null;
};

export type DeadRow = { state: string; class: string; reason_code: string; type: string | null; count: number };

/** What lies on one Odoo server of each instance's. */
export type ServerSeen = {
  id: string;
  /** As the records count. */
  counted: number;
  databases: { name: string; isOpen: boolean }[];
  roles: { name: string; mayLogin: boolean }[];
};

export type ObjectSeen = { kind: string; name: string; replicas: number | undefined; restarted: string | undefined };

/** Everything that is compared with the model, read once nothing moves any more. */
export type Observed = {
  instances: InstanceRow[];
  operations: OperationRow[];
  audit: AuditEntry[];
  inbox: { source: string; id: string; type: string; outcome: string }[];
  unpublished: number;
  dead: DeadRow[];
  requests: { id: string; source: string; type: string; data: Record<string, unknown> }[];
  /** Open ones. */
  findings: { kind: string; subject: string; detail: string }[];
  servers: ServerSeen[];
  objects: ObjectSeen[];
  /** Status of the login page by instance; of those that have a host. */
  pages: ReadonlyMap<string, number>;
  backups: BackupsSeen;
};

export async function observeWorld(fleet: Fleet, cluster: ClusterClient): Promise<Observed> {
  const rows = async <Row extends object>(text: string): Promise<Row[]> => (await fleet.records.query<Row>(text)).rows;
  const instances = await rows<InstanceRow>(
    `select i.id, name, status, desired_state, host, generation, observed_generation, db_server_id, purged_at,
       restarted_by, array(select reason from suspensions s where s.instance_id = i.id and closed_at is null
         order by reason) as suspensions
     from instances i order by i.id`,
  );
  const [unpublished] = await rows<{ count: number }>(
    'select count(*)::integer as count from outbox where published_at is null',
  );
  return {
    instances,
    operations: await rows(
      `select id, instance_id, kind, state, step, waiting_for, error_code, error_text,
         extract(epoch from clock_timestamp() - next_check_at)::integer as overdue from operations`,
    ),
    audit: await rows(
      `select sequence, (extract(epoch from at) * 1000)::float8 as "atMs", action, instance_id as "instanceId",
         operation_id as "operationId", detail from audit order by sequence`,
    ),
    inbox: await rows('select source, id, type, outcome from inbox'),
    unpublished: unpublished?.count ?? 0,
    dead: await rows(
      `select state, class, reason_code, type, count(*)::integer as count from dead_events
       group by 1, 2, 3, 4 order by 1, 2, 3, 4`,
    ),
    requests: await rows(
      `select id::text, source, type, data from outbox where type like 'dev.odoofleet.instance.%.requested'`,
    ),
    findings: await rows('select kind, subject, detail from findings where resolved_at is null order by 1, 2'),
    servers: await observeServers(fleet),
    objects: await observeObjects(cluster),
    pages: await observePages(fleet, instances),
    backups: await observeBackups(fleet),
  };
}

async function observeServers(fleet: Fleet): Promise<ServerSeen[]> {
  const { rows } = await fleet.records.query<{ id: string; port: number; instance_count: number }>(
    `select id, port, instance_count from db_servers where purpose = 'tenants' order by id`,
  );
  return await Promise.all(
    rows.map(async ({ id, port, instance_count: counted }): Promise<ServerSeen> => {
      const server = fleet.servers.odooServers.find((one) => one.port === port);
      if (server === undefined) throw new Error(`db server ${id} is not one of this fleet`);
      return {
        id,
        counted,
        databases: await queryAsSuperuser(
          server,
          `select datname::text as name, datallowconn as "isOpen" from pg_database order by 1`,
        ),
        roles: await queryAsSuperuser(
          server,
          `select rolname::text as name, rolcanlogin as "mayLogin" from pg_roles where rolname like 'odoo%' order by 1`,
        ),
      };
    }),
  );
}

type Shape = {
  spec?: { replicas?: number; template?: { metadata?: { annotations?: Record<string, string> } } };
};

async function observeObjects(cluster: ClusterClient): Promise<ObjectSeen[]> {
  return (await listObjects(cluster)).map(({ kind, name, object }) => {
    const { spec } = object as Shape;
    const restarted = spec?.template?.metadata?.annotations?.['odoofleet.dev/restarted'];
    return { kind, name, replicas: spec?.replicas, restarted };
  });
}

const pagesAtOnce = 8;

async function observePages(fleet: Fleet, instances: readonly InstanceRow[]): Promise<Map<string, number>> {
  const pages = new Map<string, number>();
  const waiting = instances.filter(({ host }) => host !== null);
  const work = async (): Promise<void> => {
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) pages.set(one.id, await pageOf(fleet, one));
  };
  await Promise.all(Array.from({ length: pagesAtOnce }, work));
  return pages;
}

async function pageOf({ ingressPort }: Fleet, { host }: InstanceRow): Promise<number> {
  const answer = await request(`http://127.0.0.1:${ingressPort}/web/login`, {
    headers: { host: `${host}:${ingressPort}` },
  });
  await answer.body.dump();
  return answer.statusCode;
}
