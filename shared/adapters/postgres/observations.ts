import type { Observed } from '#shared/domain/observation/observation.ts';
import type { Queryable } from './database.ts';

/** A cluster event's place in the inbox. */
export type Delivery = { source: string; id: string; type: string; dataHash: Buffer };

/** What the inbox holds of a delivery: nothing, the same event, or its id with other data. */
export type InboxState = 'new' | 'duplicate' | 'other-data';

/**
 * Where a piece of news stands among the others about one object: a later one has a higher sequence. What was held an hour
 * ago counts no more: a sequence that was forged, or one of before the cluster's store was restored from a backup, would
 * else make everything that follows old. Nothing that is older than that is taken for news anyway.
 */
export type StreamPosition = { source: string; stream: string; sequence: number };

/** An instance as observations look at it. */
export type ObservedInstance = Observed & {
  id: string;
  customerId: string;
  /** The unfinished operation: the one at work, else the oldest that waits its turn. */
  operation: { id: string; kind: string } | null;
  /** The row holds a note that an operation has overtaken: `note` is null, and the row is to be cleared. */
  hasVoidNote: boolean;
};

/**
 * Locks the rows until the end of the transaction, in the order of their ids, so that two batches never wait for each
 * other. NO KEY: whoever only refers to an instance does not have to wait.
 */
export async function lockObserved(transaction: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await transaction.query('select id from instances where id = any($1::text[]) order by id for no key update', [ids]);
}

/** Locks and names instances with bad news noted at least that long ago, oldest first. Those locked elsewhere are left out. */
export async function takeNoted(
  transaction: Queryable,
  { limit, notedForMs }: { limit: number; notedForMs: number },
): Promise<string[]> {
  const { rows } = await transaction.query<{ id: string }>(
    `select i.id from observations n join instances i on i.id = n.instance_id
     where i.purged_at is null and n.at <= clock_timestamp() - $2::integer * interval '1 millisecond'
     order by n.at limit $1 for no key update of i skip locked`,
    [limit, notedForMs],
  );
  return rows.map(({ id }) => id);
}

/** Those of the instances of which events or operations have told something since then. */
export async function readOvertaken(
  transaction: Queryable,
  { ids, since }: { ids: readonly string[]; since: Date },
): Promise<ReadonlySet<string>> {
  const { rows } = await transaction.query<{ id: string }>(
    `select instance_id as id from operations where instance_id = any($1::text[]) and finished_at >= $2
     union
     select i.id from instances i join streams s on s.stream like 'Deployment %/%' || i.id and s.updated_at >= $2
     where i.id = any($1::text[])`,
    [ids, since],
  );
  return new Set(rows.map(({ id }) => id));
}

type Row = {
  id: string;
  status: ObservedInstance['status'];
  generation: number;
  customer_id: string;
  desired_state: ObservedInstance['desiredState'];
  observed_generation: number;
  suspensions: ObservedInstance['suspensions'];
  noted: 'unavailable' | 'gone' | null;
  noted_reason: string | null;
  noted_at: Date | null;
  has_void_note: boolean;
  operation_id: string | null;
  operation_kind: string | null;
  now: Date;
};

// Read by a statement of its own after the lock: one that waited for a lock sees other tables as they were before.
const columns = `
  i.id, i.customer_id, i.status, i.desired_state, i.generation, i.observed_generation,
  array(select s.reason from suspensions s where s.instance_id = i.id and s.closed_at is null) as suspensions,
  n.what as noted, n.reason as noted_reason, n.at as noted_at,
  n.at is not null and exists (select from operations f
    where f.instance_id = i.id and f.finished_at >= n.at) as has_void_note,
  o.id as operation_id, o.kind as operation_kind, clock_timestamp() as now`;
// By its index, which `limit` makes sure of: a plan that reads the whole table looks cheap for a hundred rows, and is not.
const joins = `
  left join lateral (select what, reason, at from observations where instance_id = i.id limit 1) n on true
  left join lateral (
    select id, kind from operations
    where instance_id = i.id and state in ('queued', 'running', 'waiting')
    order by state = 'queued', created_at, id limit 1) o on true`;

/** Instances whose rows the transaction has locked, by id, and the time by the database's clock. */
export type ReadInstances = { instances: Map<string, ObservedInstance>; now: Date };

/** Reads locked instances. Those that are unknown or purged are missing. */
export async function readObserved(transaction: Queryable, ids: readonly string[]): Promise<ReadInstances> {
  const { rows } = await transaction.query<Row>(
    `select ${columns} from instances i ${joins} where i.id = any($1::text[]) and i.purged_at is null`,
    [ids],
  );
  return toInstances(rows);
}

function toInstances(rows: readonly Row[]): ReadInstances {
  const instances = new Map<string, ObservedInstance>();
  for (const row of rows) if (!instances.has(row.id)) instances.set(row.id, toObserved(row));
  return { instances, now: rows[0]?.now ?? new Date(0) };
}

function toObserved(row: Row): ObservedInstance {
  const { noted: what, noted_reason: reason, noted_at: at } = row;
  const isNoted = what !== null && at !== null && !row.has_void_note;
  const isAtWork = row.operation_id !== null && row.operation_kind !== null;
  return {
    id: row.id,
    customerId: row.customer_id,
    status: row.status,
    desiredState: row.desired_state,
    generation: row.generation,
    observedGeneration: row.observed_generation,
    suspensions: row.suspensions,
    isAtWork,
    operation: isAtWork ? { id: row.operation_id ?? '', kind: row.operation_kind ?? '' } : null,
    note: isNoted ? { what, reason: reason ?? '', at } : null,
    hasVoidNote: row.has_void_note,
  };
}

export type News = { delivery: Delivery; instanceId: string; position: StreamPosition | undefined };
/** What is held of a delivery, and the highest sequence seen in its stream. */
export type Held = { inbox: InboxState; newest: number };

/** Reads all that decides about some news: locked instances, and per piece of news what inbox and streams hold. */
export async function readNews(
  transaction: Queryable,
  news: readonly News[],
): Promise<ReadInstances & { held: readonly Held[] }> {
  const { rows } = await transaction.query<
    { inbox: InboxState; newest: number | null } & (Row | { id: null; now: Date })
  >(
    `select case when b.id is null then 'new' when b.type = e.type and b.data_hash = decode(e.hash, 'hex')
         then 'duplicate' else 'other-data' end as inbox,
       t.sequence as newest, ${columns}
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
       with ordinality as e (source, id, type, hash, stream, instance_id, position)
     left join inbox b on b.source = e.source and b.id = e.id
     left join lateral (select sequence from streams where source = e.source and stream = e.stream
       and updated_at > clock_timestamp() - interval '1 hour' limit 1) t on true
     left join instances i on i.id = e.instance_id and i.purged_at is null
     ${joins}
     order by e.position`,
    [
      ...deliveryColumns(news.map(({ delivery }) => delivery)),
      news.map(({ position }) => position?.stream ?? null),
      news.map(({ instanceId }) => instanceId),
    ],
  );
  const known = rows.filter((row) => row.id !== null);
  const held = rows.map(({ inbox, newest }) => ({ inbox, newest: newest ?? -1 }));
  return { ...toInstances(known as Row[]), now: rows[0]?.now ?? new Date(0), held };
}

function deliveryColumns(deliveries: readonly Delivery[]): unknown[] {
  return [
    deliveries.map(({ source }) => source),
    deliveries.map(({ id }) => id),
    deliveries.map(({ type }) => type),
    deliveries.map(({ dataHash }) => dataHash.toString('hex')),
  ];
}

/** What is written of an instance. Undefined stays as it is; null is forgotten. */
export type ObservedWrite = {
  id: string;
  status: { to: ObservedInstance['status']; reason: string } | undefined;
  note: ObservedInstance['note'] | undefined;
};

type Writes<Received> = {
  deliveries: readonly Received[];
  /** Each stream at most once; one that has come further within the hour stays there. */
  positions: readonly StreamPosition[];
  instances: readonly ObservedWrite[];
};

// One round trip; each part is a statement of its own on a table of its own.
const writeText = `
  with advanced as (
    insert into streams as s (source, stream, sequence)
    select source, stream, sequence from unnest($6::text[], $7::text[], $8::bigint[]) as p (source, stream, sequence)
    order by source, stream
    on conflict (source, stream) do update set sequence = excluded.sequence, updated_at = now()
      where s.sequence < excluded.sequence or s.updated_at <= clock_timestamp() - interval '1 hour'
  ), changed as (
    update instances i set status = w.status, status_reason = w.reason, updated_at = clock_timestamp()
    from unnest($9::text[], $10::text[], $11::text[]) as w (id, status, reason)
    where i.id = w.id
  ), noted as (
    insert into observations (instance_id, what, reason, at)
    select * from unnest($12::text[], $13::text[], $14::text[], $15::timestamptz[])
    on conflict (instance_id) do update set what = excluded.what, reason = excluded.reason, at = excluded.at
  ), forgotten as (
    delete from observations where instance_id = any($16::text[])
  )
  insert into inbox (source, id, type, data_hash, outcome)
  select source, id, type, decode(hash, 'hex'), outcome
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) as e (source, id, type, hash, outcome)
  order by source, id
  on conflict (source, id) do nothing
  returning source, id`;

/**
 * Writes that events were received, how far their streams have come, and what became of locked instances. Returns the
 * deliveries that another transaction has written meanwhile.
 */
export async function writeNews<Received extends Delivery & { outcome: string }>(
  transaction: Queryable,
  { deliveries, positions, instances }: Writes<Received>,
): Promise<Received[]> {
  const changed = instances.flatMap(({ id, status }) => (status === undefined ? [] : [{ id, ...status }]));
  const noted = instances.flatMap(({ id, note }) => (note === undefined || note === null ? [] : [{ id, ...note }]));
  const { rows } = await transaction.query<{ source: string; id: string }>(writeText, [
    ...deliveryColumns(deliveries),
    deliveries.map(({ outcome }) => outcome),
    positions.map(({ source }) => source),
    positions.map(({ stream }) => stream),
    positions.map(({ sequence }) => sequence),
    changed.map(({ id }) => id),
    changed.map(({ to }) => to),
    changed.map(({ reason }) => reason),
    noted.map(({ id }) => id),
    noted.map(({ what }) => what),
    noted.map(({ reason }) => reason),
    noted.map(({ at }) => at.toISOString()),
    instances.filter(({ note }) => note === null).map(({ id }) => id),
  ]);
  if (rows.length === deliveries.length) return [];
  return deliveries.filter(({ source, id }) => !rows.some((row) => row.source === source && row.id === id));
}
