import { userInfo } from 'node:os';
import { ensureCustomer } from '#shared/adapters/postgres/customers.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { grantOf } from '#shared/domain/access/granting.ts';
import { type Principal, scopes } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import { mintKey } from '#shared/runtime/access/mint-key.ts';
import { type Done, timeOf } from './screen.ts';

/** Whoever reaches the records may do everything anyway. */
const operator: Principal = { kind: 'user', id: userInfo().username, role: 'admin', customerId: null, scopes };

/**
 * Makes an API key straight in the records: the first admin has nobody to ask. The key is printed and kept nowhere.
 * @throws Failure `misconfigured` for a wrong call.
 */
export async function createKey(
  database: Database,
  wanted: { isAdmin: boolean; customer: string | undefined; name: string; days: string },
): Promise<Done> {
  const { isAdmin, customer, name, days } = wanted;
  if (isAdmin === (customer !== undefined)) {
    throw new Failure('misconfigured', 'State --admin, or --customer ID for a key of one customer.');
  }
  if (!/^[1-9]\d{0,2}$/.test(days) || Number(days) > 365) {
    throw new Failure('misconfigured', '--days is 1 to 365.');
  }
  if (!/^[^\p{C}]{1,100}$/u.test(name)) throw new Failure('misconfigured', '--name is 1 to 100 characters.');
  if (customer !== undefined && !/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(customer)) {
    throw new Failure('misconfigured', '--customer is a customer id: letters, digits, "_" and "-".');
  }
  const grant = grantOf(operator, isAdmin ? {} : { role: 'customer', customerId: customer });
  const expiresAt = new Date(Date.now() + Number(days) * 86_400_000);
  const { key, text } = await database.transaction(async (transaction) => {
    if (customer !== undefined) await ensureCustomer(transaction, customer);
    return await mintKey(transaction, { grant, name, expiresAt, by: `operator ${operator.id}` });
  });
  return {
    json: { id: key.id, role: key.role, customer: key.customerId, expiresAt: key.expiresAt, key: text },
    lines: [
      text,
      `Key ${key.id} (${key.role}) ends ${timeOf(key.expiresAt)}. It is not shown again: keep it like a password.`,
    ],
  };
}
