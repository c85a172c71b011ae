import { unrepairableKinds, urgentKinds } from '#shared/domain/drift/policy.ts';
import type { Row } from './rows.ts';

/** An open finding with what decides about it. */
export type FoundRow = Pick<
  Row<'findings'>,
  'kind' | 'subject' | 'instance_id' | 'place' | 'detail' | 'first_seen' | 'repairs' | 'next_repair_at'
> & {
  /** When its part of the fleet was last looked at. */
  looked_at: Date | null;
  is_moving: boolean;
  is_blocked: boolean;
  is_repairable: boolean;
};

const listed = (kinds: readonly string[]) => `array[${kinds.map((kind) => `'${kind}'`).join(', ')}]`;
const hasOpen = (kinds: readonly string[]) => `exists (select 1 from findings other
    where other.instance_id = f.instance_id and other.resolved_at is null and other.kind = any(${listed(kinds)}))`;

/** What follows `from` for open findings; add `f.resolved_at is null`. */
export const foundFrom = `findings f left join instances i on i.id = f.instance_id
  left join reconcile_shards s on s.shard = f.shard`;

/** The rules of `lockAskable`, of which this only tells. */
export const foundColumns = `f.kind, f.subject, f.instance_id, f.place, f.detail, f.first_seen, f.repairs, f.next_repair_at,
  s.passed_at as looked_at,
  exists (select 1 from operations o where o.instance_id = f.instance_id
    and o.state in ('queued', 'running', 'waiting')) as is_moving,
  ${hasOpen(unrepairableKinds)} and not ${hasOpen(urgentKinds)} as is_blocked,
  coalesce(i.purged_at is null and (i.desired_state = 'terminated' or i.observed_generation > 0), false)
    and i.id is not null as is_repairable`;
