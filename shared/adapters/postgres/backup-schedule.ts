import type { ProofState } from '#shared/domain/backup/backup.ts';
import type { Asked, Due, ScheduleFacts } from '#shared/domain/backup/schedule.ts';
import type { Queryable } from './database.ts';

/** An instance that may be due, with what it was last asked for. */
export type Schedulable = {
  facts: ScheduleFacts;
  serverId: string;
  asked: Partial<Record<Due['task'], Asked>>;
};

// Of what is at work now another one is not asked for; what is being ended, undone or made is left alone. What was overtaken
// has not failed, and what failed before a termination says nothing about the tries that come after it.
const pageText = `
  select i.id, i.created_at, i.terminated_at, i.db_server_id as server_id, p.backup_hours, p.verify_days,
    newest.id as newest_id, newest.kind as newest_kind, newest.started_at as newest_at, newest.proof as newest_proof,
    look.proof as look_proof, look.proof_at as look_at,
    coalesce(failed_backups.count, 0) as backup_failures, failed_backups.last_at as backup_failed_at,
    coalesce(failed_looks.count, 0) as verify_failures, failed_looks.last_at as verify_failed_at,
    (select jsonb_object_agg(r.task, jsonb_build_object('subject', r.subject, 'requests', r.requests, 'nextAt', r.next_at))
      from backup_requests r where r.instance_id = i.id) as asked,
    clock_timestamp() as now
  from instances i join plans p on p.id = i.plan_id
  left join lateral (
    select id, kind, started_at, proof from backups b where b.instance_id = i.id and b.state = 'succeeded'
    order by snapshot_at desc, id desc limit 1) as newest on true
  left join lateral (
    select proof, proof_at from backups b where b.instance_id = i.id and b.proof <> 'none'
    order by proof_at desc limit 1) as look on true
  left join lateral (
    select count(*)::integer as count, max(finished_at) as last_at from backups b
    where b.instance_id = i.id and b.state in ('failed', 'deleting', 'deleted') and b.error_code is not null
      and b.error_code <> 'superseded'
      and b.started_at > coalesce(greatest(newest.started_at, i.terminated_at), '-infinity')) as failed_backups on true
  left join lateral (
    select count(*)::integer as count, max(finished_at) as last_at from verifications v
    where v.instance_id = i.id and v.state = 'failed' and v.error_code <> 'superseded'
      and v.started_at > coalesce(greatest(look.proof_at, i.terminated_at), '-infinity')) as failed_looks on true
  where i.id > $1 and i.purged_at is null and i.observed_generation > 0 and i.db_server_id is not null
    and (i.terminated_at is null or i.status = 'terminated')
    and not exists (select 1 from operations o where o.instance_id = i.id
      and o.kind in ('provision', 'clone', 'import', 'terminate', 'undo', 'purge', 'backup', 'verify', 'restore')
      and o.state in ('queued', 'running', 'waiting'))
  order by i.id limit $2`;

type PageRow = {
  id: string;
  created_at: Date;
  terminated_at: Date | null;
  server_id: string;
  backup_hours: number;
  verify_days: number;
  newest_id: string | null;
  newest_kind: string | null;
  newest_at: Date | null;
  newest_proof: ProofState | null;
  look_proof: ProofState | null;
  look_at: Date | null;
  backup_failures: number;
  backup_failed_at: Date | null;
  verify_failures: number;
  verify_failed_at: Date | null;
  asked: Partial<Record<Due['task'], { subject: string; requests: number; nextAt: string }>> | null;
  now: Date;
};

function factsOf(row: PageRow): ScheduleFacts {
  const { newest_id: id, newest_kind: kind, newest_at: startedAt, newest_proof: proof } = row;
  const hasNewest = id !== null && kind !== null && startedAt !== null && proof !== null;
  const { look_proof: state, look_at: at } = row;
  return {
    instanceId: row.id,
    createdAt: row.created_at,
    terminatedAt: row.terminated_at,
    backupHours: row.backup_hours,
    verifyDays: row.verify_days,
    newest: hasNewest ? { id, kind, startedAt, proof } : null,
    lastLook: state === null || at === null ? null : { state, at },
    backupFailures: { count: row.backup_failures, lastAt: row.backup_failed_at },
    verifyFailures: { count: row.verify_failures, lastAt: row.verify_failed_at },
  };
}

function askedOf(row: PageRow): Schedulable['asked'] {
  const entries = Object.entries(row.asked ?? {}).map(([task, one]) => [
    task,
    { ...one, nextAt: new Date(one.nextAt) },
  ]);
  return Object.fromEntries(entries) as Schedulable['asked'];
}

/** Instances with an id after `after` that a backup or a verification may be asked for, and the database's time. */
export async function listSchedulable(
  queryable: Queryable,
  page: { after: string; limit: number },
): Promise<{ instances: Schedulable[]; now: Date; next: string | undefined }> {
  const { rows } = await queryable.query<PageRow>(pageText, [page.after, page.limit]);
  return {
    instances: rows.map((row) => ({ facts: factsOf(row), serverId: row.server_id, asked: askedOf(row) })),
    now: rows[0]?.now ?? new Date(),
    next: rows.length < page.limit ? undefined : rows.at(-1)?.id,
  };
}

/** How many more backups each server takes, and how many more verifications there is room for: twice the slots, without what is under way. */
export async function readRoom(queryable: Queryable): Promise<{ backups: Map<string, number>; verifications: number }> {
  const backups = await queryable.query<{ id: string; room: number }>(
    `select s.id, s.backup_slots * 2 - (
       select count(*)::integer from operations o join instances i on i.id = o.instance_id
       where o.kind = 'backup' and o.state in ('queued', 'running', 'waiting') and i.db_server_id = s.id) as room
     from db_servers s where s.purpose = 'tenants' and s.status = 'active'`,
  );
  const { rows } = await queryable.query<{ room: number }>(
    `select coalesce(sum(backup_slots), 0)::integer * 2 - (
       select count(*)::integer from operations where kind = 'verify' and state in ('queued', 'running', 'waiting')) as room
     from db_servers where purpose = 'verification' and status = 'active' and reached_at is not null`,
  );
  return { backups: new Map(backups.rows.map(({ id, room }) => [id, room])), verifications: rows[0]?.room ?? 0 };
}

/** Notes that something was asked for, in the transaction that asks. */
export async function noteRequest(
  transaction: Queryable,
  request: {
    instanceId: string;
    task: Due['task'];
    subject: string;
    requests: number;
    eventId: string;
    waitMs: number;
  },
): Promise<void> {
  const { instanceId, task, subject, requests, eventId, waitMs } = request;
  await transaction.query(
    `insert into backup_requests (instance_id, task, subject, requests, event_id, next_at)
     values ($1, $2, $3, $4, $5, clock_timestamp() + $6::integer * interval '1 millisecond')
     on conflict (instance_id, task) do update set subject = excluded.subject, requests = excluded.requests,
       event_id = excluded.event_id, asked_at = clock_timestamp(), next_at = excluded.next_at`,
    [instanceId, task, subject, requests, eventId, waitMs],
  );
}
