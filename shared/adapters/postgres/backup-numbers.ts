import type { Queryable } from './database.ts';

/** Of all points that instances can be restored to: counting them reads something of every instance. Ages in seconds. */
export type PointNumbers = {
  /** Instances older than two days that have no proven point to be restored to. */
  unproven: number;
  /** Instances without a backup for more than twice the time their plan says. */
  overdue: number;
  /** Age of the last proven point of the instance whose one is oldest; 0 where none has any. */
  oldestProvenAge: number;
  /** Dumps as they are stored; files are shared by the backups of an instance. */
  dumpBytes: number;
};

/** The fleet's backups in numbers. */
export type BackupNumbers = PointNumbers & {
  running: Readonly<Record<string, number>>;
  /** That failed within the last day, by kind. */
  failed: Readonly<Record<string, number>>;
  /** Kept ones whose restore showed that they are not what they should be. */
  refuted: number;
  /** Given up, with objects that are still there. */
  deleting: number;
  /** Terminated instances past their undo window without a proven final backup. */
  finalsMissing: number;
  slots: readonly { server: string; purpose: string; used: number; slots: number }[];
};

const noPoints: PointNumbers = { unproven: 0, overdue: 0, oldestProvenAge: 0, dumpBytes: 0 };

export const noBackupNumbers: BackupNumbers = {
  ...noPoints,
  running: {},
  failed: {},
  refuted: 0,
  deleting: 0,
  finalsMissing: 0,
  slots: [],
};

const byKind = (condition: string) => `
  (select coalesce(jsonb_object_agg(kind, n), '{}') from (
    select kind, count(*) as n from backups where ${condition} group by kind) as counted)`;

// One pass over the index of kept backups: to look each instance's up costs ten times as much. Those count that are wanted,
// were brought about and are backed up by themselves.
const pointsText = `
  with points as materialized (
    select instance_id, max(snapshot_at) as newest, max(snapshot_at) filter (where proof = 'proven') as proven,
      sum(dump_bytes) as bytes
    from backups where state = 'succeeded' group by instance_id)
  select
    count(*) filter (where proven is null and i.created_at < clock_timestamp() - interval '2 days')::integer as unproven,
    count(*) filter (where coalesce(newest, i.created_at)
      < clock_timestamp() - backup_hours * interval '2 hours')::integer as overdue,
    coalesce(extract(epoch from clock_timestamp() - min(proven)), 0)::float8 as "oldestProvenAge",
    (select coalesce(sum(bytes), 0)::bigint from points) as "dumpBytes"
  from instances i join plans p on p.id = i.plan_id left join points on points.instance_id = i.id
  where i.purged_at is null and i.terminated_at is null and i.observed_generation > 0 and p.backup_hours > 0`;

export async function readPointNumbers(queryable: Queryable): Promise<PointNumbers> {
  const { rows } = await queryable.query<PointNumbers>(pointsText);
  return rows[0] ?? noPoints;
}

// Each of them is found by an index of those that count.
const numbersText = `
  select
    ${byKind(`state = 'running'`)} as running,
    ${byKind(`error_code is not null and error_code not in ('cancelled', 'superseded')
      and finished_at > now() - interval '1 day'`)} as failed,
    (select count(*)::integer from backups where state = 'succeeded' and proof = 'refuted') as refuted,
    (select count(*)::integer from backups where state = 'deleting') as deleting,
    (select count(*)::integer from instances i where i.purged_at is null and i.purge_after < now()
      and not exists (select 1 from backups b where b.instance_id = i.id and b.kind = 'final' and b.state = 'succeeded'
        and b.proof = 'proven' and b.started_at >= i.terminated_at)) as "finalsMissing",
    (select coalesce(jsonb_agg(jsonb_build_object('server', s.id, 'purpose', s.purpose, 'slots', s.backup_slots, 'used',
        (select count(*) from backups b where b.server_id = s.id and b.state = 'running')
        + (select count(*) from verifications v where v.server_id = s.id and v.state = 'running')) order by s.id), '[]')
      from db_servers s where s.status = 'active') as slots`;

/** `readPoints`: where those numbers come from; whoever asks often asks for them less often. */
export async function readBackupNumbers(
  queryable: Queryable,
  readPoints: () => Promise<PointNumbers> = () => readPointNumbers(queryable),
): Promise<BackupNumbers> {
  const { rows } = await queryable.query<Omit<BackupNumbers, keyof PointNumbers>>(numbersText);
  return { ...noBackupNumbers, ...rows[0], ...(await readPoints()) };
}
