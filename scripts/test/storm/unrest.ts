import type { Queryable } from '#shared/adapters/postgres/database.ts';
import type { Moving } from './moving.ts';

/** Rows of a counter, and instances, that are told; the rest is counted. */
const told = 10;

const timeOf = (column: string) => `to_char(${column} at time zone 'UTC', 'HH24:MI:SS.MS')`;
const at = (column: string) => `coalesce(${timeOf(column)}, '-')`;

const instancesText = `
  select i.id, array[
      format('instance %s (%s) on %s: %s, wanted %s, generation %s, observed %s, terminated %s, purged %s', i.id, i.name,
        coalesce(i.db_server_id, 'no server'), i.status, i.desired_state, i.generation, i.observed_generation,
        ${at('i.terminated_at')}, ${at('i.purged_at')})]
    || array(select format('  operation %s %s %s: %s%s, attempt %s, created %s, began %s, ended %s%s', o.kind,
        coalesce(o.request ->> 'kind', ''), o.id, o.state, ' in ' || o.step, o.attempt, ${at('o.created_at')},
        ${at('o.started_at')}, ${at('o.finished_at')},
        concat(', waits for ' || o.waiting_for, ', due ' || ${timeOf('o.next_check_at')}, ', overtaken by ' || o.overtaken_by,
          ', ' || o.error_code || ': ' || o.error_text))
      from operations o where o.instance_id = i.id order by o.created_at, o.id)
    || array(select format('  backup %s %s: %s, %s, began %s, ended %s%s', b.kind, b.id, b.state, b.proof,
        ${at('b.started_at')}, ${at('b.finished_at')}, ', ' || b.error_code || ': ' || b.error_text)
      from backups b where b.instance_id = i.id order by b.started_at, b.id)
    || array(select format('  verification %s of %s: %s, began %s, ended %s%s', v.id, v.backup_id, v.state,
        ${at('v.started_at')}, ${at('v.finished_at')}, ', ' || v.error_code || ': ' || v.error_text)
      from verifications v where v.instance_id = i.id order by v.started_at, v.id)
    || array(select format('  request %s of a %s, "%s", by event %s (%s, its inbox: %s): asked %s, again %s', r.requests, r.task,
        r.subject, r.event_id,
        (select case when e.published_at is null then 'unpublished' else 'published ' || ${at('e.published_at')} end
          from outbox e where e.id = r.event_id),
        coalesce((select n.outcome from inbox n where n.id = r.event_id::text limit 1), 'never taken'),
        ${at('r.asked_at')}, ${at('r.next_at')})
      from backup_requests r where r.instance_id = i.id order by r.task) as lines
  from instances i where i.id = any($1) order by i.id`;

function rest(count: number, of: string): string[] {
  return count > told ? [`and ${count - told} more ${of}`] : [];
}

/**
 * Lines for people about what still moves: the rows of each counter, and all that the records hold of their instances.
 * Times are the database's, in UTC. Empty when nothing moves.
 */
export async function tellUnrest(records: Queryable, moving: Moving): Promise<string[]> {
  const left = Object.entries(moving).filter(([, rows]) => rows.length > 0);
  if (left.length === 0) return [];
  const rows = left.flatMap(([name, all]) => [
    `${name}:`,
    ...all.slice(0, told).map(({ instance, what }) => `  ${instance === null ? '' : `${instance}: `}${what}`),
    ...rest(all.length, name).map((line) => `  ${line}`),
  ]);
  const ids = [...new Set(left.flatMap(([, all]) => all.flatMap(({ instance }) => instance ?? [])))];
  const [clock] = (await records.query<{ now: string }>(`select ${at('clock_timestamp()')} as now`)).rows;
  const instances = await records.query<{ lines: string[] }>(instancesText, [ids.slice(0, told)]);
  return [
    ...rows,
    `It is ${clock?.now}.`,
    ...instances.rows.flatMap(({ lines }) => lines),
    ...rest(ids.length, 'instances'),
  ];
}
