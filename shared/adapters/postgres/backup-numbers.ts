import type { Queryable } from './database.ts';

/** The fleet's backups in numbers. Ages in seconds. */
export type BackupNumbers = {
  running: Readonly<Record<string, number>>;
  /** That failed within the last day, by kind. */
  failed: Readonly<Record<string, number>>;
  /** Kept ones whose restore showed that they are not what they should be. */
  refuted: number;
  /** Given up, with objects that are still there. */
  deleting: number;
  /** Instances older than two days that have no proven point to be restored to. */
  unproven: number;
  /** Instances without a backup for more than twice the time their plan says. */
  overdue: number;
  /** Age of the last proven point of the instance whose one is oldest; 0 where none has any. */
  oldestProvenAge: number;
  /** Terminated instances past their undo window without a proven final backup. */
  finalsMissing: number;
  /** Dumps as they are stored; files are shared by the backups of an instance. */
  dumpBytes: number;
  slots: readonly { server: string; purpose: string; used: number; slots: number }[];
};

export const noBackupNumbers: BackupNumbers = {
  running: {},
  failed: {},
  refuted: 0,
  deleting: 0,
  unproven: 0,
  overdue: 0,
  oldestProvenAge: 0,
  finalsMissing: 0,
  dumpBytes: 0,
  slots: [],
};

const byKind = (condition: string) => `
  (select coalesce(jsonb_object_agg(kind, n), '{}') from (
    select kind, count(*) as n from backups where ${condition} group by kind) as counted)`;

// Of instances that are wanted, were brought about and are backed up by themselves.
const pointsText = `
  points as (
    select i.created_at, p.backup_hours,
      (select snapshot_at from backups b where b.instance_id = i.id and b.state = 'succeeded'
        order by snapshot_at desc limit 1) as newest,
      (select snapshot_at from backups b where b.instance_id = i.id and b.state = 'succeeded' and b.proof = 'proven'
        order by snapshot_at desc limit 1) as proven
    from instances i join plans p on p.id = i.plan_id
    where i.purged_at is null and i.terminated_at is null and i.observed_generation > 0 and p.backup_hours > 0)`;

const numbersText = `
  with ${pointsText}
  select
    ${byKind(`state = 'running'`)} as running,
    ${byKind(`error_code is not null and finished_at > clock_timestamp() - interval '1 day'`)} as failed,
    (select count(*)::integer from backups where state = 'succeeded' and proof = 'refuted') as refuted,
    (select count(*)::integer from backups where state = 'deleting') as deleting,
    (select count(*)::integer from points
      where proven is null and created_at < clock_timestamp() - interval '2 days') as unproven,
    (select count(*)::integer from points where coalesce(newest, created_at)
      < clock_timestamp() - backup_hours * interval '2 hours') as overdue,
    (select coalesce(extract(epoch from clock_timestamp() - min(proven)), 0)::float8 from points) as "oldestProvenAge",
    (select count(*)::integer from instances i where i.purged_at is null and i.purge_after < clock_timestamp()
      and not exists (select 1 from backups b where b.instance_id = i.id and b.kind = 'final' and b.state = 'succeeded'
        and b.proof = 'proven' and b.started_at >= i.terminated_at)) as "finalsMissing",
    (select coalesce(sum(dump_bytes), 0)::bigint from backups where state = 'succeeded') as "dumpBytes",
    (select coalesce(jsonb_agg(jsonb_build_object('server', s.id, 'purpose', s.purpose, 'slots', s.backup_slots, 'used',
        (select count(*) from backups b where b.server_id = s.id and b.state = 'running')
        + (select count(*) from verifications v where v.server_id = s.id and v.state = 'running')) order by s.id), '[]')
      from db_servers s where s.status = 'active') as slots`;

export async function readBackupNumbers(queryable: Queryable): Promise<BackupNumbers> {
  const { rows } = await queryable.query<BackupNumbers>(numbersText);
  return rows[0] ?? noBackupNumbers;
}
