import type { Database, Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** A side that a restore took out, whose time is over. */
export type OldSide = { id: string; instanceId: string; serverId: string; jobKey: string; tries: number };

/** One that was taken is looked at again after so long, whatever became of who took it. */
const lookAgainSeconds = 15;

// While an instance is being purged its volume is not mounted by a Job of ours: the purge takes all of it away.
const takeText = `
  update restores set dropping_at = coalesce(dropping_at, clock_timestamp()),
    drop_after = clock_timestamp() + $2::integer * interval '1 second'
  where id in (
    select r.id from restores r where r.state = 'succeeded' and r.taken_back_by is null and r.dropped_at is null
      and coalesce(r.drop_after, r.keep_until) < clock_timestamp() and r.keep_until < clock_timestamp()
      and not exists (select from operations o where o.instance_id = r.instance_id and o.kind = 'purge'
        and o.state in ('queued', 'running', 'waiting'))
    order by coalesce(r.drop_after, r.keep_until) limit $1 for update of r skip locked)
  returning *`;

/**
 * Sides whose time is over and that nobody takes back; from here on nobody can. Those that have waited longest: one that
 * was taken goes behind all others, and one that was held off is left out until its pause is over.
 */
export async function takeOldSides(database: Database, limit: number): Promise<readonly OldSide[]> {
  const { rows } = await database.query<Row<'restores'>>(takeText, [limit, lookAgainSeconds]);
  return rows.map((row) => ({
    id: row.id,
    instanceId: row.instance_id,
    serverId: row.server_id,
    jobKey: row.job_key,
    tries: row.drop_tries,
  }));
}

/** It could not be removed: the next go is after a minute, and after twice as long each time, up to six hours. */
export async function holdOffOldSide(database: Database, { id, tries }: OldSide): Promise<void> {
  const minutes = Math.min(2 ** Math.min(tries, 20), 360);
  await database.query(
    `update restores set drop_tries = drop_tries + 1, drop_after = clock_timestamp() + $2::integer * interval '1 minute'
     where id = $1 and dropped_at is null`,
    [id, minutes],
  );
}

export async function markOldSideDropped(database: Database, id: string): Promise<void> {
  await database.query(
    'update restores set dropped_at = clock_timestamp() where id = $1 and dropping_at is not null and dropped_at is null',
    [id],
  );
}

/** In the transaction that ends a purge: nothing of the instance is there, so nobody is to look for its sides. */
export async function markSidesPurged(transaction: Queryable, instanceId: string): Promise<void> {
  await transaction.query(
    `update restores set dropping_at = coalesce(dropping_at, clock_timestamp()), dropped_at = clock_timestamp()
     where instance_id = $1 and state = 'succeeded' and taken_back_by is null and dropped_at is null`,
    [instanceId],
  );
}

/** Is nothing of the instance there any more, its volume neither? */
export async function isOfPurged(queryable: Queryable, { instanceId }: OldSide): Promise<boolean> {
  const { rowCount } = await queryable.query('select 1 from instances where id = $1 and purged_at is not null', [
    instanceId,
  ]);
  return rowCount === 1;
}
