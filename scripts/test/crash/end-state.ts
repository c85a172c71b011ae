import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { authenticate } from '#shared/adapters/odoo-http/authenticate.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import type { TestFleet } from '#shared/testing/fleet.ts';
import { listObjects, queryAsSuperuser } from '#shared/testing/fleet-traces.ts';

/** What is left of an instance everywhere, with its id written as `ID`: comparable between two instances. */
export type EndState = Record<string, unknown>;

/** Kinds that controllers make by themselves. */
const ofControllers = new Set(['Pod', 'ReplicaSet', 'Event', 'Endpoints', 'EndpointSlice']);

/** Reads it: records, Odoo server, cluster, and the logins where there is a page. */
export async function endStateOf(fleet: TestFleet, instanceId: string): Promise<EndState> {
  const [records, server, objects] = await Promise.all([
    recordsOf(fleet, instanceId),
    serverTraces(fleet, instanceId),
    objectsIn(fleet, instanceId),
  ]);
  const text = JSON.stringify({ ...records, ...server, objects });
  // A Job's name carries a part of its operation's id.
  const comparable = text.replaceAll(instanceId, 'ID').replaceAll(/-init-[0-9a-f]{8}-/g, '-init-OPERATION-');
  return JSON.parse(comparable) as EndState;
}

async function recordsOf(fleet: TestFleet, instanceId: string) {
  const values = [instanceId];
  const operations = await fleet.rows(
    `select kind, state, step, round, error_code, lease_holder, waiting_for, next_check_at,
       result ? 'url' as has_url from operations where instance_id = $1`,
    values,
  );
  const instances = await fleet.rows(
    `select status, desired_state, host is not null as has_host, db_server_id is not null as is_placed,
       generation, observed_generation from instances where id = $1`,
    values,
  );
  const steps = await fleet.rows<{ step: string; outcome: string }>(
    `select s.step, (array_agg(s.outcome order by s.started_at desc, s.attempt desc))[1] as outcome from operation_steps s
     join operations o on o.id = s.operation_id where o.instance_id = $1 group by s.step order by s.step`,
    values,
  );
  const audit = await fleet.rows<{ action: string }>(
    `select action from audit where instance_id = $1 order by action`,
    values,
  );
  const outbox = await fleet.rows<{ type: string }>(
    `select type, count(*)::int as count, bool_and(published_at is not null) as published from outbox
     where data ->> 'instance' = $1 and type not like '%.advance' group by type order by type`,
    values,
  );
  const inbox = await fleet.rows(
    `select type, i.outcome, count(*)::int from inbox i join operations o on o.id = i.operation_id
     where o.instance_id = $1 and type like '%.requested' group by 1, 2`,
    values,
  );
  return { operations, instances, steps, audit: audit.map(({ action }) => action), outbox, inbox };
}

async function serverTraces(fleet: TestFleet, instanceId: string) {
  const { odoo } = fleet.servers;
  const values = [instanceId];
  const [databases, roles] = await Promise.all([
    queryAsSuperuser(
      odoo,
      `select datname::text as name, pg_get_userbyid(datdba)::text as owner,
         shobj_description(oid, 'pg_database') as mark, has_database_privilege('public', oid, 'CONNECT') as is_open
       from pg_database where strpos(datname, $1) > 0 order by 1`,
      { values },
    ),
    queryAsSuperuser(
      odoo,
      `select rolname::text as name, rolcanlogin, rolcreatedb, rolconnlimit from pg_roles
       where strpos(rolname, $1) > 0 order by 1`,
      { values },
    ),
  ]);
  return { databases, roles };
}

async function objectsIn(fleet: TestFleet, instanceId: string): Promise<string[]> {
  const objects = await listObjects(fleet.cluster);
  return objects
    .filter(({ kind, name }) => name.includes(instanceId) && !ofControllers.has(kind))
    .map(({ kind, name }) => `${kind}/${name}`)
    .sort();
}

/** Does the one-time password of the Secret log in, and Odoo's default one not? */
export async function loginsOf(fleet: TestFleet, instanceId: string): Promise<{ right: boolean; standard: boolean }> {
  const { instance, publicUrl } = await readInstance(fleet.records, instanceId);
  const opened = openTenantCluster({
    kubeconfigFile: fleet.kubeconfigFile,
    namespace: tenantNamespace,
    clientNamespaces: [],
  });
  try {
    const credentials = await opened.credentials.read(instance);
    const { database } = namesOf(instanceId);
    const right = { login: instance.adminLogin, password: credentials?.adminPassword ?? '', database };
    return {
      right: (await authenticate(publicUrl, right)) !== false,
      standard: (await authenticate(publicUrl, { login: 'admin', password: 'admin', database })) !== false,
    };
  } finally {
    await opened.close();
  }
}

/** Takes an instance that was looked at out of the cluster and off its server, so that hundreds fit on one machine. */
export async function forget(fleet: TestFleet, instanceId: string): Promise<void> {
  const { object } = namesOf(instanceId);
  const paths = [
    `/apis/apps/v1/namespaces/${tenantNamespace}/deployments/${object}`,
    `/apis/networking.k8s.io/v1/namespaces/${tenantNamespace}/ingresses/${object}`,
    `/apis/networking.k8s.io/v1/namespaces/${tenantNamespace}/networkpolicies/${object}`,
    ...['services', 'persistentvolumeclaims'].map(
      (plural) => `/api/v1/namespaces/${tenantNamespace}/${plural}/${object}`,
    ),
    ...['configuration', 'credentials'].map(
      (what) => `/api/v1/namespaces/${tenantNamespace}/secrets/${object}-${what}`,
    ),
  ];
  const jobs = await fleet.cluster.request('GET', `/apis/batch/v1/namespaces/${tenantNamespace}/jobs`);
  const names = (jobs.body['items'] as unknown as { metadata: { name: string } }[]).map(
    ({ metadata }) => metadata.name,
  );
  for (const name of names.filter((one) => one.includes(instanceId))) {
    paths.push(`/apis/batch/v1/namespaces/${tenantNamespace}/jobs/${name}`);
  }
  for (const path of paths) {
    await fleet.cluster.request('DELETE', path, { body: { propagationPolicy: 'Background' } });
  }
  const { database, role, ownerRole, backupRole } = namesOf(instanceId);
  const { odoo } = fleet.servers;
  // The ids are ours: base32.
  await queryAsSuperuser(odoo, `drop database if exists "${database}" with (force)`);
  await queryAsSuperuser(odoo, `drop database if exists "tombstone_${instanceId}" with (force)`);
  await queryAsSuperuser(odoo, `drop role if exists "${backupRole}"`);
  await queryAsSuperuser(odoo, `drop role if exists "${role}"`);
  await queryAsSuperuser(odoo, `drop role if exists "${ownerRole}"`);
}

/** What must hold for all instances together. Returns what does not, in words. */
export async function fleetProblems(fleet: TestFleet): Promise<string[]> {
  const counts = await fleet.rows<{ counted: number; placed: number }>(
    `select instance_count as counted, (select count(*)::int from instances where db_server_id = s.id) as placed
     from db_servers s`,
  );
  const dead = await fleet.rows<{ told: string }>(
    `select concat(type, ' ', id, ' of ', source, ': ', reason) as told from dead_events`,
  );
  const leftovers = await halfMade(fleet);
  return [
    ...counts
      .filter(({ counted, placed }) => counted !== placed)
      .map(({ counted, placed }) => `the server counts ${counted} instances and has ${placed}`),
    ...dead.map(({ told }) => `a dead event: ${told}`),
    ...leftovers.map((name) => `a database is left over: ${name}`),
  ];
}

async function halfMade(fleet: TestFleet): Promise<string[]> {
  const text = `select datname::text as name from pg_database where datname ~ '^(making|trash|filling)_'`;
  return (await queryAsSuperuser<{ name: string }>(fleet.servers.odoo, text)).map(({ name }) => name);
}

/** Brings about that nothing of this is left to say. */
export async function mendFleet(fleet: TestFleet): Promise<void> {
  await fleet.rows(
    'update db_servers s set instance_count = (select count(*) from instances where db_server_id = s.id)',
  );
  await fleet.rows('delete from dead_events');
  for (const name of await halfMade(fleet)) {
    await queryAsSuperuser(fleet.servers.odoo, `drop database if exists "${name}" with (force)`);
  }
}
