import type { Changes } from '#shared/domain/drift/changes.ts';
import { type Finding, keyOf } from '#shared/domain/drift/findings.ts';
import type { DriftKind } from '#shared/domain/drift/policy.ts';
import type { Askable, Request } from '#shared/domain/drift/requests.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** One that is not over. */
export type OpenFinding = Finding & { firstSeen: Date; repairs: number };

type FindingRow = Pick<
  Row<'findings'>,
  'kind' | 'subject' | 'instance_id' | 'place' | 'detail' | 'first_seen' | 'repairs'
>;

/** What is amiss as far as is known, in a shard or in the whole fleet. */
export async function listOpenFindings(queryable: Queryable, shard?: string): Promise<OpenFinding[]> {
  const { rows } = await queryable.query<FindingRow>(
    `select kind, subject, instance_id, place, detail, first_seen, repairs from findings
     where resolved_at is null and ($1::text is null or shard = $1) order by kind, subject`,
    [shard ?? null],
  );
  return rows.map((row) => ({
    kind: row.kind,
    subject: row.subject,
    instanceId: row.instance_id,
    place: row.place,
    detail: row.detail,
    firstSeen: row.first_seen,
    repairs: row.repairs,
  }));
}

/** What stops and starts again within a day is one trouble: its waits go on growing. */
const sameTroubleHours = 24;

/** Writes what a pass found to be different, and nothing else. */
export async function writeChanges(
  transaction: Queryable,
  shard: string,
  { appeared, altered, gone }: Changes,
): Promise<void> {
  const seen = [...appeared, ...altered];
  if (seen.length > 0) {
    await transaction.query(
      `insert into findings as f (kind, subject, shard, place, instance_id, detail)
       select kind, subject, $6, place, instance_id, detail
       from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
         as found (kind, subject, place, instance_id, detail)
       order by kind, subject
       on conflict (kind, subject) do update set
         shard = excluded.shard, place = excluded.place, instance_id = excluded.instance_id, detail = excluded.detail,
         last_seen = clock_timestamp(), resolved_at = null,
         first_seen = case when f.resolved_at is null then f.first_seen else clock_timestamp() end,
         repairs = case when f.resolved_at < clock_timestamp() - $7::integer * interval '1 hour' then 0 else f.repairs end,
         next_repair_at = case when f.resolved_at < clock_timestamp() - $7::integer * interval '1 hour' then null
           else f.next_repair_at end`,
      [
        seen.map(({ kind }) => kind),
        seen.map(({ subject }) => subject),
        seen.map(({ place }) => place),
        seen.map(({ instanceId }) => instanceId),
        seen.map(({ detail }) => detail),
        shard,
        sameTroubleHours,
      ],
    );
  }
  if (gone.length > 0) {
    await transaction.query(
      `update findings as f set resolved_at = clock_timestamp()
       from unnest($1::text[], $2::text[]) as over (kind, subject)
       where f.kind = over.kind and f.subject = over.subject and f.resolved_at is null`,
      [gone.map(({ kind }) => kind), gone.map(({ subject }) => subject)],
    );
  }
}

/**
 * Open findings for which an operation may be asked, their rows locked: of instances that were brought about or
 * are terminated, and that nothing is at work on.
 */
export async function lockAskable(
  transaction: Queryable,
  asked: {
    instanceIds: readonly string[];
    kinds: readonly DriftKind[];
    /** Of terminated instances only; else of all. */
    ofTerminated: boolean;
    /** Nothing is asked for an instance with an open finding of these, unless it is one of `urgent`, too. */
    except: readonly DriftKind[];
    urgent: readonly DriftKind[];
  },
): Promise<Askable[]> {
  if (asked.instanceIds.length === 0) return [];
  const { rows } = await transaction.query<
    Pick<FindingRow, 'kind' | 'repairs' | 'first_seen'> & { instance_id: string; is_due: boolean }
  >(
    `select f.instance_id, f.kind, f.repairs, f.first_seen,
       coalesce(f.next_repair_at <= clock_timestamp(), true) as is_due
     from findings f join instances i on i.id = f.instance_id
     where f.instance_id = any($1) and f.kind = any($2) and f.resolved_at is null
       and i.purged_at is null and (i.desired_state = 'terminated' or (i.observed_generation > 0 and not $3))
       and not exists (select 1 from findings b
         where b.instance_id = i.id and b.resolved_at is null and b.kind = any($4)
           and not exists (select 1 from findings u
             where u.instance_id = i.id and u.resolved_at is null and u.kind = any($5)))
       and not exists (select 1 from operations o
         where o.instance_id = i.id and o.state in ('queued', 'running', 'waiting'))
     order by f.instance_id, f.kind for update of f`,
    [asked.instanceIds, asked.kinds, asked.ofTerminated, asked.except, asked.urgent],
  );
  return rows.map((row) => ({
    instanceId: row.instance_id,
    kind: row.kind,
    repairs: row.repairs,
    firstSeen: row.first_seen,
    isDue: row.is_due,
  }));
}

/** The operations were asked for; each is given its time before the next one. */
export async function noteRequests(
  transaction: Queryable,
  requests: readonly Request[],
  kinds: readonly DriftKind[],
): Promise<void> {
  if (requests.length === 0) return;
  await transaction.query(
    `update findings as f set repairs = asked.repairs, last_seen = clock_timestamp(),
       next_repair_at = clock_timestamp() + asked.wait_ms * interval '1 millisecond'
     from unnest($1::text[], $2::integer[], $3::bigint[]) as asked (instance_id, repairs, wait_ms)
     where f.instance_id = asked.instance_id and f.kind = any($4) and f.resolved_at is null`,
    [
      requests.map(({ instanceId }) => instanceId),
      requests.map(({ repairs }) => repairs),
      requests.map(({ waitMs }) => waitMs),
      kinds,
    ],
  );
}

/** Of these, the ones that have stood for so many days. */
export async function stoodFor(
  queryable: Queryable,
  findings: readonly Finding[],
  options: { days: number },
): Promise<Finding[]> {
  if (findings.length === 0) return [];
  const { rows } = await queryable.query<Pick<FindingRow, 'kind' | 'subject'>>(
    `select f.kind, f.subject from findings f join unnest($1::text[], $2::text[]) as found (kind, subject)
       on f.kind = found.kind and f.subject = found.subject
     where f.resolved_at is null and f.first_seen <= clock_timestamp() - $3::integer * interval '1 day'`,
    [findings.map(({ kind }) => kind), findings.map(({ subject }) => subject), options.days],
  );
  const old = new Set(rows.map(keyOf));
  return findings.filter((finding) => old.has(keyOf(finding)));
}

/** Deletes findings that were over that long ago, at most `limit`. */
export async function forgetResolved(
  queryable: Queryable,
  options: { olderThanDays: number; limit: number },
): Promise<number> {
  const { rowCount } = await queryable.query(
    `delete from findings where (kind, subject) in (
       select kind, subject from findings where resolved_at < clock_timestamp() - $1::integer * interval '1 day'
       order by resolved_at limit $2 for update skip locked)`,
    [options.olderThanDays, options.limit],
  );
  return rowCount;
}
