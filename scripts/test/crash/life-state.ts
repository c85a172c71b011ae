import { createHash } from 'node:crypto';
import type { TestFleet } from '#shared/testing/fleet.ts';
import { listObjects, queryAsSuperuser } from '#shared/testing/fleet-traces.ts';

// What an instance is in the world, and what has come to it since a moment, in a form that is comparable between two runs
// of the same operation, on one instance or on two.

/** With ids written as words; keys are what is compared. */
export type LifeState = Record<string, unknown>;

/** A moment in an instance's life. */
export type Mark = {
  instanceId: string;
  auditSequence: number;
  outboxSequence: number;
  generation: number;
  operationIds: readonly string[];
  kept: Kept;
};

/** Identities of what holds a customer's data: the same afterwards, or something was made anew. */
type Kept = { database: string | null; volume: string | null; credentials: string | null };

type Found = { kind: string; name: string; object: Record<string, unknown> };

/** Kinds that controllers make by themselves; pods are counted. */
const ofControllers = new Set(['ReplicaSet', 'Event', 'Endpoints', 'EndpointSlice', 'Pod']);

export async function markOf(fleet: TestFleet, instanceId: string): Promise<Mark> {
  const [row] = await fleet.rows<Pick<Mark, 'auditSequence' | 'outboxSequence' | 'generation' | 'operationIds'>>(
    `select (select coalesce(max(sequence), 0) from audit) as "auditSequence",
       (select coalesce(max(sequence), 0) from outbox) as "outboxSequence",
       coalesce((select generation from instances where id = $1), 0) as generation,
       array(select id::text from operations where instance_id = $1) as "operationIds"`,
    [instanceId],
  );
  if (row === undefined) throw new Error('a query without a table gave no row');
  return { ...row, instanceId, kept: await keptOf(fleet, instanceId, await objectsOf(fleet, instanceId)) };
}

/** The instance as it is now, and what has come to it since the mark. `operationId` is the one that is looked at. */
export async function lifeStateOf(fleet: TestFleet, mark: Mark, operationId: string | undefined): Promise<LifeState> {
  const { instanceId } = mark;
  const [records, server, found, page] = await Promise.all([
    recordsSince(fleet, mark),
    serverTraces(fleet, instanceId),
    objectsOf(fleet, instanceId),
    pageOf(fleet, instanceId),
  ]);
  const kept = comparedKept(mark.kept, await keptOf(fleet, instanceId, found));
  const objects = found
    .filter(({ kind }) => !ofControllers.has(kind))
    .map(({ kind, name, object }) => ({ object: `${kind}/${name}`, ...shown(kind, object, operationId) }))
    .sort((one, other) => one.object.localeCompare(other.object));
  const text = JSON.stringify({ ...records, ...server, objects, pods: livingPods(found), page, kept });
  return JSON.parse(text.replaceAll(instanceId, 'ID')) as LifeState;
}

async function recordsSince(fleet: TestFleet, mark: Mark) {
  const { instanceId, generation, operationIds, auditSequence, outboxSequence } = mark;
  const instance = await fleet.rows(
    `select status, desired_state, host, generation - $2 as generations, generation = observed_generation as is_settled,
       db_server_id is not null as is_placed, purged_at is not null as is_purged,
       terminated_at is not null as has_tombstone, desired_before,
       (select what from observations n where n.instance_id = i.id) as observation,
       array(select reason from suspensions s where s.instance_id = i.id and closed_at is null order by 1) as suspensions
     from instances i where id = $1`,
    [instanceId, generation],
  );
  const operations = await fleet.rows(
    `select kind, state, round, error_code, error_text, lease_holder, waiting_for, next_check_at, cancel_requested,
       result ->> 'result' as result from operations
     where instance_id = $1 and not id::text = any($2) order by created_at, id`,
    [instanceId, operationIds],
  );
  const steps = await fleet.rows<{ step: string; outcome: string }>(
    `select o.kind, s.step, (array_agg(s.outcome order by s.started_at desc, s.attempt desc))[1] as outcome
     from operation_steps s join operations o on o.id = s.operation_id
     where o.instance_id = $1 and not o.id::text = any($2) group by o.kind, s.step order by 1, 2`,
    [instanceId, operationIds],
  );
  const audit = await fleet.rows<{ action: string }>(
    'select action from audit where instance_id = $1 and sequence > $2 order by action',
    [instanceId, auditSequence],
  );
  const events = await fleet.rows(
    `select type, count(*)::int as count, bool_and(published_at is not null) as published from outbox
     where data ->> 'instance' = $1 and sequence > $2 and type not like '%.advance' group by type order by type`,
    [instanceId, outboxSequence],
  );
  const moves = await fleet.rows<{ move: string }>(
    `select concat(data ->> 'from', ' -> ', data ->> 'to') as move from outbox
     where data ->> 'instance' = $1 and sequence > $2 and type like '%.status.changed' order by sequence`,
    [instanceId, outboxSequence],
  );
  return {
    instance: instance[0],
    ...(await dataSince(fleet, mark)),
    operations,
    steps: steps.map(({ step, outcome }) => `${step} ${outcome}`),
    audit: audit.map(({ action }) => action),
    events,
    moves: moves.map(({ move }) => move),
  };
}

/** What has come to its backups and all that is made of them. */
async function dataSince(fleet: TestFleet, { instanceId, operationIds, auditSequence }: Mark) {
  const backups = await fleet.rows(
    `select kind, state, proof, manifest_key is not null as has_manifest from backups
     where instance_id = $1 and not id::text = any($2) order by id`,
    [instanceId, operationIds],
  );
  const verifications = await fleet.rows(
    `select state, boot, odoo_booted, differences from verifications where instance_id = $1 and not id::text = any($2) order by id`,
    [instanceId, operationIds],
  );
  const exported = await fleet.rows(
    `select state, archive_key is not null as has_key, object_key is not null as has_archive from exports
     where instance_id = $1 and not id::text = any($2) order by id`,
    [instanceId, operationIds],
  );
  const loads = await fleet.rows(
    'select state, error_code from loads where instance_id = $1 and not id::text = any($2) order by id',
    [instanceId, operationIds],
  );
  const certificates = await fleet.rows<{ name: string }>(
    `select concat(one ->> 'kind', ' ', one ->> 'name') as name from audit a,
       jsonb_array_elements(a.detail -> 'certificate' -> 'body' -> 'removed') one
     where a.instance_id = $1 and a.action = 'purge.certified' and a.sequence > $2 order by a.sequence, name`,
    [instanceId, auditSequence],
  );
  return {
    certified: certificates.map(({ name }) => name),
    backups,
    verifications,
    exports: exported,
    loads,
  };
}

async function serverTraces(fleet: TestFleet, instanceId: string) {
  const { odoo } = fleet.servers;
  const values = [instanceId];
  const [databases, roles] = await Promise.all([
    queryAsSuperuser(
      odoo,
      `select datname::text as name, pg_get_userbyid(datdba)::text as owner, datallowconn,
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
  // Of a running instance there are as many as its Odoo has at the moment; of any other none may be left.
  const sessions = await queryAsSuperuser<{ usename: string }>(
    odoo,
    `select distinct usename::text from pg_stat_activity where strpos(datname, $1) > 0
       and not exists (select from pg_roles where rolname = usename and rolsuper) order by 1`,
    { values },
  );
  return { databases, roles, sessionsOf: sessions.map(({ usename }) => usename) };
}

async function objectsOf(fleet: TestFleet, instanceId: string): Promise<Found[]> {
  return (await listObjects(fleet.cluster)).filter(({ name }) => name.includes(instanceId));
}

const isEnding = ({ object }: Found) =>
  (object['metadata'] as { deletionTimestamp?: string }).deletionTimestamp !== undefined;

function livingPods(found: readonly Found[]): number {
  return found.filter((one) => one.kind === 'Pod' && !isEnding(one)).length;
}

/** Are pods of the instance on their way out? Their programs still have sessions and files open. */
export async function hasEndingPods(fleet: TestFleet, instanceId: string): Promise<boolean> {
  return (await objectsOf(fleet, instanceId)).some((one) => one.kind === 'Pod' && isEnding(one));
}

/** What the ingress answers for the host of the instance's name, which is also the name of a tombstone's. */
async function pageOf(fleet: TestFleet, instanceId: string): Promise<number> {
  return await fleet.loginPage(`i${instanceId}`);
}

async function keptOf(fleet: TestFleet, instanceId: string, found: readonly Found[]): Promise<Kept> {
  const [database] = await queryAsSuperuser<{ oid: string }>(
    fleet.servers.odoo,
    `select oid::text from pg_database where strpos(datname, $1) > 0`,
    { values: [instanceId] },
  );
  const of = (kind: string, ending: string) =>
    found.find((one) => one.kind === kind && one.name.endsWith(ending))?.object;
  const volume = of('PersistentVolumeClaim', instanceId)?.['metadata'] as { uid: string } | undefined;
  const secret = of('Secret', '-credentials')?.['data'];
  return {
    database: database?.oid ?? null,
    volume: volume?.uid ?? null,
    credentials: secret === undefined ? null : createHash('sha256').update(JSON.stringify(secret)).digest('hex'),
  };
}

function comparedKept(before: Kept, now: Kept) {
  const compared = (key: keyof Kept) => {
    if (now[key] === null) return 'gone';
    return now[key] === before[key] ? 'kept' : 'another';
  };
  return { database: compared('database'), volume: compared('volume'), credentials: compared('credentials') };
}

const ownAnnotation = /^odoofleet\.dev\/(operation|fence|desired|form|configuration)$/;
const restarted = 'odoofleet.dev/restarted';
const shard = 'odoofleet.dev/shard';

/** What of an object somebody wanted; not what the server or a controller added, nor who wrote it when. */
function shown(kind: string, object: Record<string, unknown>, operationId: string | undefined) {
  const { name, labels = {} } = object['metadata'] as { name: string; labels?: Record<string, string> };
  const isSecret = kind === 'Secret';
  const spec = JSON.stringify(object['spec'] ?? null, (key, value: unknown) => {
    if (key === 'clusterIP' || key === 'clusterIPs' || key === 'volumeName') return undefined;
    if (ownAnnotation.test(key)) return undefined;
    if (key === shard) return 'SHARD';
    // A restart of an earlier operation is as good as none.
    if (key === restarted) return value === operationId ? 'OPERATION' : undefined;
    return value;
  });
  // Its value is another for another instance.
  const isOfShard = name.startsWith(`odoo-${labels[shard]}`);
  return {
    labels: { ...labels, [shard]: isOfShard },
    spec: JSON.parse(spec) as unknown,
    keys: isSecret ? Object.keys(object['data'] ?? {}).sort() : [],
  };
}
