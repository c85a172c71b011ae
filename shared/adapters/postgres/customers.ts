import type { Queryable } from './database.ts';

/** Writes the customer with the default quota where he is not known yet. */
export async function ensureCustomer(transaction: Queryable, id: string): Promise<void> {
  await transaction.query('insert into customers (id) values ($1) on conflict (id) do nothing', [id]);
}

/**
 * A customer's quota and how many of his instances are not terminated. His row is locked until the end of the transaction:
 * whoever counts before adding an instance counts right. Undefined when there is no such customer.
 */
export async function lockCustomer(
  transaction: Queryable,
  id: string,
): Promise<{ quota: number; liveInstances: number } | undefined> {
  // not FOR UPDATE: that would also wait for everybody who only refers to the customer
  const { rows } = await transaction.query<{ quota: number }>(
    'select quota from customers where id = $1 for no key update',
    [id],
  );
  const customer = rows[0];
  if (customer === undefined) return undefined;
  // a statement of its own: its snapshot is taken after the lock was granted
  const counted = await transaction.query<{ count: number }>(
    "select count(*) from instances where customer_id = $1 and desired_state <> 'terminated'",
    [id],
  );
  return { quota: customer.quota, liveInstances: counted.rows[0]?.count ?? 0 };
}

/** Seeds a customer, or changes his quota. */
export async function upsertCustomer(queryable: Queryable, customer: { id: string; quota: number }): Promise<void> {
  await queryable.query(
    'insert into customers (id, quota) values ($1, $2) on conflict (id) do update set quota = excluded.quota',
    [customer.id, customer.quota],
  );
}
