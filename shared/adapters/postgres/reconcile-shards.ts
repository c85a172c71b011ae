import type { Queryable } from './database.ts';

/** A shard that is this holder's for a while. */
export type TakenShard = {
  shard: string;
  holder: string;
  /** The database's clock when it was taken. */
  began: Date;
  /** The same to the microsecond, as text: what became due after it did so during the pass. */
  takenAt: string;
};

/**
 * Takes the shard that has been due for longest, if nobody else holds it; undefined when none is due. By the
 * database's clock.
 */
export async function takeDueShard(
  queryable: Queryable,
  lease: { holder: string; leaseMs: number },
): Promise<TakenShard | undefined> {
  const { rows } = await queryable.query<{ shard: string; began: Date; takenAt: string }>(
    `update reconcile_shards set holder = $1, until = clock_timestamp() + $2::integer * interval '1 millisecond'
     where shard = (
       select shard from reconcile_shards
       where due_at <= clock_timestamp() and (until is null or until < clock_timestamp())
       order by due_at, shard limit 1 for update skip locked)
     returning shard, clock_timestamp() as began, clock_timestamp()::text as "takenAt"`,
    [lease.holder, lease.leaseMs],
  );
  const row = rows[0];
  return row === undefined ? undefined : { ...row, holder: lease.holder };
}

/**
 * Ends a pass, in the transaction that writes what it found: the next one is due in `everyMs`, a tenth more or less, so
 * that shards spread, and at once when it was woken meanwhile. False when the lease ran out and somebody else has taken it: then nothing may be written.
 */
export async function finishShard(
  transaction: Queryable,
  { shard, holder, takenAt }: TakenShard,
  next: { everyMs: number; blind: readonly string[] },
): Promise<boolean> {
  const { rowCount } = await transaction.query(
    `update reconcile_shards set holder = null, until = null, passed_at = clock_timestamp(), blind = $4,
       due_at = case when due_at > $5::timestamptz and due_at <= clock_timestamp() then due_at
         else clock_timestamp() + $3 * (0.9 + random() * 0.2) * interval '1 millisecond' end
     where shard = $1 and holder = $2`,
    [shard, holder, next.everyMs, next.blind, takenAt],
  );
  return rowCount > 0;
}

/** Gives a shard back whose pass failed; it is tried again after `inMs`. */
export async function postponeShard(
  queryable: Queryable,
  { shard, holder }: Pick<TakenShard, 'shard' | 'holder'>,
  options: { inMs: number },
): Promise<void> {
  await queryable.query(
    `update reconcile_shards set holder = null, until = null,
       due_at = clock_timestamp() + $3::integer * interval '1 millisecond'
     where shard = $1 and holder = $2`,
    [shard, holder, options.inMs],
  );
}

/** Places that the last pass over some shard could not read. */
export async function listBlindPlaces(queryable: Queryable): Promise<string[]> {
  const { rows } = await queryable.query<{ place: string }>(
    'select distinct unnest(blind) as place from reconcile_shards order by place',
  );
  return rows.map(({ place }) => place);
}

/**
 * Makes the shard of an instance due, in the transaction that changed what is wanted of it: the next tick looks, also when
 * a pass is at work now, which may have read the instance before.
 */
export async function wakeShard(transaction: Queryable, instanceId: string): Promise<void> {
  await transaction.query(
    `update reconcile_shards
     set due_at = case when until > clock_timestamp() then clock_timestamp() else least(due_at, clock_timestamp()) end
     where shard = left($1, 1)`,
    [instanceId],
  );
}
