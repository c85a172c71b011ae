import type { FleetFacts } from '#shared/domain/drift/fleet.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import type { Database, Queryable } from './database.ts';

/** Rows of one kind a pass looks at: more of them say nothing new, and the rest come when these are over. */
const limit = 500;

// Due long ago and in nobody's hands. A queued one behind another at work is as it should be.
const idleText = `
  select o.id, o.instance_id, o.kind, o.deadline < clock_timestamp() - $1::integer * interval '1 minute' as is_overdue
  from operations o
  where o.state in ('queued', 'running', 'waiting')
    and (o.deadline < clock_timestamp() - $1::integer * interval '1 minute'
      or (o.next_check_at < clock_timestamp() - $1::integer * interval '1 minute'
        and (o.lease_until is null or o.lease_until < clock_timestamp())
        and (o.state <> 'queued' or not exists (select 1 from operations a
          where a.instance_id = o.instance_id and a.state in ('running', 'waiting')))))
  order by o.created_at limit ${limit}`;

const purgeText = `
  select id from instances
  where purge_after < clock_timestamp() and purged_at is null and desired_state = 'terminated'
  order by purge_after limit ${limit}`;

const countText = `
  select s.id, s.instance_count, s.max_instances, count(i.id)::integer as rows
  from db_servers s left join instances i on i.db_server_id = s.id
  group by s.id having s.instance_count <> count(i.id) order by s.id`;

const waitText = `
  select
    exists (select 1 from outbox where published_at is null
      and created_at < clock_timestamp() - interval '1 minute') as outbox,
    exists (select 1 from dead_events where state = 'given-up' or (state = 'waiting' and class <> 'transient')) as dead`;

/** Reads what the records say about the fleet itself. */
export async function readFleetFacts(
  queryable: Queryable,
  options: { stuckAfterMinutes: number },
): Promise<Pick<FleetFacts, 'operations' | 'purgeDue' | 'counts' | 'isOutboxWaiting' | 'areDeadEventsWaiting'>> {
  const operations = await queryable.query<{
    id: string;
    instance_id: string;
    kind: OperationKind;
    is_overdue: boolean;
  }>(idleText, [options.stuckAfterMinutes]);
  const purges = await queryable.query<{ id: string }>(purgeText);
  const counts = await queryable.query<{ id: string; instance_count: number; max_instances: number; rows: number }>(
    countText,
  );
  const waits = await queryable.query<{ outbox: boolean; dead: boolean }>(waitText);
  return {
    operations: operations.rows.map((row) => ({
      id: row.id,
      instanceId: row.instance_id,
      kind: row.kind,
      isOverdue: row.is_overdue,
    })),
    purgeDue: purges.rows.map(({ id }) => id),
    counts: counts.rows.map((row) => ({
      serverId: row.id,
      count: row.instance_count,
      rows: row.rows,
      maxInstances: row.max_instances,
    })),
    isOutboxWaiting: waits.rows[0]?.outbox ?? false,
    areDeadEventsWaiting: waits.rows[0]?.dead ?? false,
  };
}

/**
 * Puts a server's count of instances right. Whoever places or releases an instance changes the server's row in the same
 * transaction, so with that row locked the number of its instances is certain; it is counted by a statement that begins
 * when the lock is held. Returns the count before and after when it was wrong; `note` writes them down in the same
 * transaction.
 * @throws Failure `constraint-violated` when there are more rows than the server may have: raise max_instances first.
 */
export async function correctServerCount(
  database: Database,
  serverId: string,
  note: (transaction: Queryable, corrected: { from: number; to: number }) => Promise<void> = async () => undefined,
): Promise<{ from: number; to: number } | undefined> {
  return await database.transaction(async (transaction) => {
    const { rows: locked } = await transaction.query<{ instance_count: number }>(
      'select instance_count from db_servers where id = $1 for update',
      [serverId],
    );
    const { rows } = await transaction.query<{ instance_count: number }>(
      `update db_servers set instance_count = counted.rows
       from (select count(*)::integer as rows from instances where db_server_id = $1) as counted
       where id = $1 and instance_count <> counted.rows returning instance_count`,
      [serverId],
    );
    const [from, to] = [locked[0]?.instance_count, rows[0]?.instance_count];
    if (from === undefined || to === undefined) return undefined;
    await note(transaction, { from, to });
    return { from, to };
  });
}
