import type { Queryable } from './database.ts';

/**
 * Takes a lease on periodic work; false while somebody else holds it. By the database's clock. It keeps two
 * ticks from doing the same work twice; nothing's correctness may rest on it alone.
 */
export async function takeLease(
  queryable: Queryable,
  lease: { name: string; holder: string; leaseMs: number },
): Promise<boolean> {
  const { rowCount } = await queryable.query(
    `insert into leases as held (name, holder, until)
     values ($1, $2, clock_timestamp() + $3::integer * interval '1 millisecond')
     on conflict (name) do update set holder = excluded.holder, until = excluded.until
       where held.until < clock_timestamp()`,
    [lease.name, lease.holder, lease.leaseMs],
  );
  return rowCount > 0;
}

/** Gives a lease back, if it is still the holder's. */
export async function releaseLease(queryable: Queryable, lease: { name: string; holder: string }): Promise<void> {
  await queryable.query('delete from leases where name = $1 and holder = $2', [lease.name, lease.holder]);
}
