import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { expectedFindings } from './compare.ts';

/** One thing that still moves, and of which instance. */
export type MovingOne = { instance: string | null; what: string };

/** What still moves, by its counter; all empty when the fleet is at rest. */
export type Moving = Readonly<Record<string, readonly MovingOne[]>>;

type Counter = { name: string; text: string };

const counters: readonly Counter[] = [
  {
    name: 'unfinished operations',
    text: `select instance_id, format('operation %s', id) from operations where state in ('queued', 'running', 'waiting')`,
  },
  {
    name: 'unpublished events',
    text: `select data ->> 'instance', format('%s %s, %s tries: %s', type, id, attempts, coalesce(last_error, 'no error'))
      from outbox where published_at is null`,
  },
  {
    // Until one is looked at, nothing else is asked for behind an end or its undo, nor anew where there was no room.
    name: 'requests of billing',
    text: `select instance_id, format('%s by event %s, sent again %s times', kind, event_id, resends)
      from billing_requests r where check_at is not null
        and (kind in ('terminate', 'undo') or not exists (select 1 from inbox
          where inbox.id = r.event_id::text and inbox.outcome <> 'refused: too-many-operations'))`,
  },
  {
    name: 'dead events',
    text: `select attributes ->> 'partitionkey', format('%s %s at %s: %s %s, %s replays, next in %s s', type, id, received_by,
        reason_code, coalesce(last_error, reason), replays, extract(epoch from next_replay_at - clock_timestamp())::integer)
      from dead_events where state = 'waiting' and next_replay_at is not null`,
  },
  {
    name: 'instances on their way',
    text: `select id, status from instances where status not in ('running', 'stopped', 'suspended', 'terminated')`,
  },
  {
    // By the schedule, within a minute of their termination; a request that the broker lost is repeated after 10 minutes.
    name: 'final backups to be asked for',
    text: `select i.id, format('terminated %s s ago', extract(epoch from clock_timestamp() - i.terminated_at)::integer)
      from instances i where i.terminated_at is not null and i.status = 'terminated' and i.purged_at is null
        and i.observed_generation > 0 and not exists (select 1 from operations o where o.instance_id = i.id
          and o.kind = 'backup' and o.request ->> 'kind' = 'final' and o.created_at >= i.terminated_at)
        and not exists (select 1 from backup_requests r where r.instance_id = i.id and r.task = 'backup'
          and r.asked_at between i.terminated_at and clock_timestamp() - interval '1 minute'
          and r.next_at > clock_timestamp())`,
  },
  { name: 'observations', text: `select instance_id, format('%s: %s', what, reason) from observations` },
  {
    name: 'findings',
    text: `select instance_id, format('%s %s: %s', kind, subject, detail)
      from findings where resolved_at is null and kind <> all($1)`,
  },
];

const text = counters
  .map((one, number) => `select ${number} as number, instance, what from (${one.text}) as found (instance, what)`)
  .join('\nunion all\n');

/** What the records say is still to come. */
export async function readMoving(records: Queryable): Promise<Moving> {
  const { rows } = await records.query<MovingOne & { number: number }>(text, [expectedFindings]);
  const found = Map.groupBy(rows, ({ number }) => number);
  return Object.fromEntries(
    counters.map(({ name }, number) => [
      name,
      (found.get(number) ?? []).map(({ instance, what }) => ({ instance, what })),
    ]),
  );
}
