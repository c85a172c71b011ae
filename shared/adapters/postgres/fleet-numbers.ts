import { type BackupNumbers, noBackupNumbers, type PointNumbers, readBackupNumbers } from './backup-numbers.ts';
import type { Queryable } from './database.ts';
import { type EdgeNumbers, type EdgeReads, noEdgeNumbers, readEdgeNumbers } from './edge-numbers.ts';

/** The fleet in numbers, for its gauges. Kinds and states that have no row are left out. Ages and delays in seconds. */
export type FleetNumbers = {
  /** Open findings of drift, by kind. */
  findings: Readonly<Record<string, number>>;
  /** Instances that are not purged, by status. */
  instances: Readonly<Record<string, number>>;
  /** Operations that are not ended. */
  operations: readonly { kind: string; state: string; count: number; oldestAge: number }[];
  /** Unfinished operations whose deadline is over, by kind. */
  overdueOperations: readonly { kind: string; count: number; oldestDelay: number }[];
  outbox: { unpublished: number; oldestAge: number };
  /** Dead events that nobody has resolved. */
  deadEvents: readonly { class: string; state: string; count: number; oldestAge: number }[];
  /** `oldestDelay`: how long the shard that waits longest is due; 0 when none is. `blind`: shards with a place that could not be seen. */
  shards: { overdue: number; oldestDelay: number; blind: number };
  servers: readonly { server: string; instances: number; limit: number }[];
  backups: BackupNumbers;
  edge: EdgeNumbers;
};

/** A shard is due every few minutes and taken within seconds; a tick may miss one turn. */
const shardGraceSeconds = 60;

const age = (since: string) => `extract(epoch from clock_timestamp() - min(${since}))::float8`;

const numbersText = `
  select
    (select coalesce(jsonb_object_agg(kind, n), '{}') from (
      select kind, count(*) as n from findings where resolved_at is null group by kind) as open) as findings,
    (select coalesce(jsonb_object_agg(status, n), '{}') from (
      select status, count(*) as n from instances where purged_at is null group by status) as counted) as instances,
    (select coalesce(jsonb_agg(counted), '[]') from (
      select kind, state, count(*) as count, ${age('created_at')} as "oldestAge" from operations
      where state in ('queued', 'running', 'waiting') group by kind, state) as counted) as operations,
    (select coalesce(jsonb_agg(counted), '[]') from (
      select kind, count(*) as count, ${age('deadline')} as "oldestDelay" from operations
      where state in ('queued', 'running', 'waiting') and deadline < clock_timestamp()
      group by kind) as counted) as overdue,
    (select jsonb_build_object('unpublished', count(*), 'oldestAge', coalesce(${age('created_at')}, 0))
      from outbox where published_at is null) as outbox,
    (select coalesce(jsonb_agg(counted), '[]') from (
      select class, state, count(*) as count, ${age('received_at')} as "oldestAge" from dead_events
      where state in ('waiting', 'given-up', 'replayed') group by class, state) as counted) as dead,
    (select jsonb_build_object(
        'overdue', count(*) filter (where due_at < clock_timestamp() - $1::integer * interval '1 second'),
        -- a shard may be put off for ever
        'oldestDelay', coalesce(extract(epoch from clock_timestamp()
          - min(due_at) filter (where due_at < clock_timestamp()))::float8, 0),
        'blind', count(*) filter (where cardinality(blind) > 0))
      from reconcile_shards) as shards,
    (select coalesce(jsonb_agg(jsonb_build_object(
        'server', id, 'instances', instance_count, 'limit', max_instances)), '[]')
      from db_servers where status = 'active' and purpose = 'tenants') as servers`;

type Row = Omit<FleetNumbers, 'overdueOperations' | 'deadEvents' | 'backups' | 'edge'> & {
  overdue: FleetNumbers['overdueOperations'];
  dead: FleetNumbers['deadEvents'];
};

/** What is read by itself, for whoever asks often. Default: with the rest. */
export type SeldomRead = { readPoints?: () => Promise<PointNumbers>; edge?: EdgeReads };

/** Counts all of it, in a few statements. */
export async function readFleetNumbers(
  queryable: Queryable,
  { readPoints, edge: edgeReads }: SeldomRead = {},
): Promise<FleetNumbers> {
  const { rows } = await queryable.query<Row>(numbersText, [shardGraceSeconds]);
  const [row] = rows;
  if (row === undefined) return noNumbers;
  const { overdue, dead, ...rest } = row;
  const backups = await readBackupNumbers(queryable, readPoints);
  const edge = await readEdgeNumbers(queryable, edgeReads);
  return { ...rest, overdueOperations: overdue, deadEvents: dead, backups, edge };
}

/** Those of a fleet without anything. */
export const noNumbers: FleetNumbers = {
  findings: {},
  instances: {},
  operations: [],
  overdueOperations: [],
  outbox: { unpublished: 0, oldestAge: 0 },
  deadEvents: [],
  shards: { overdue: 0, oldestDelay: 0, blind: 0 },
  servers: [],
  backups: noBackupNumbers,
  edge: noEdgeNumbers,
};
