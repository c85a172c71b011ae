import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fleet } from '#shared/sandbox/fleet/start.ts';
import { expectedFindings } from './compare.ts';

/** What still moves, in numbers; all 0 when the fleet is at rest. */
export type Moving = Readonly<Record<string, number>>;

const text = `
  select
    (select count(*) from operations where state in ('queued', 'running', 'waiting'))::integer as "unfinished operations",
    (select count(*) from outbox where published_at is null)::integer as "unpublished events",
    (select count(*) from billing_requests r where check_at is not null
       and not exists (select 1 from inbox where inbox.id = r.event_id::text))::integer as "requests of billing",
    (select count(*) from dead_events where state = 'waiting' and next_replay_at is not null)::integer as "dead events",
    (select count(*) from instances where status not in ('running', 'stopped', 'suspended', 'terminated'))::integer
      as "instances on their way",
    -- by the schedule, within a minute of their termination; a request that the broker lost is repeated after 10 minutes
    (select count(*) from instances i where i.terminated_at is not null and i.status = 'terminated' and i.purged_at is null
       and i.observed_generation > 0 and not exists (select 1 from operations o where o.instance_id = i.id
         and o.kind = 'backup' and o.request ->> 'kind' = 'final' and o.created_at >= i.terminated_at)
       and not exists (select 1 from backup_requests r where r.instance_id = i.id and r.task = 'backup'
         and r.asked_at between i.terminated_at and clock_timestamp() - interval '1 minute'
         and r.next_at > clock_timestamp()))::integer
      as "final backups to be asked for",
    (select count(*) from observations)::integer as "observations",
    (select count(*) from findings where resolved_at is null and kind <> all($1))::integer as "findings"`;

/** Twice in a row: what was at rest may have been between two steps. */
const looks = 2;
const everyMs = 2_000;

/** Waits until nothing moves any more, and says what still does after `timeoutMs`. */
export async function untilQuiet(
  fleet: Fleet,
  options: { timeoutMs: number; onLook: (moving: Moving) => void },
): Promise<{ isQuiet: boolean; moving: Moving; seconds: number }> {
  const startedAtMs = Date.now();
  let still = 0;
  for (;;) {
    const moving = await lookAt(fleet);
    options.onLook(moving);
    still = Object.values(moving).every((count) => count === 0) ? still + 1 : 0;
    const seconds = Math.round((Date.now() - startedAtMs) / 1_000);
    if (still === looks) return { isQuiet: true, moving, seconds };
    if (Date.now() - startedAtMs > options.timeoutMs) return { isQuiet: false, moving, seconds };
    await delay(everyMs);
  }
}

async function lookAt(fleet: Fleet): Promise<Moving> {
  const { rows } = await fleet.records.query<Record<string, number>>(text, [expectedFindings]);
  const spooled = await readdir(join(fleet.folder, 'object-store'), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  return { ...rows[0], 'spooled dead letters': spooled.filter((entry) => entry.isFile()).length };
}
