import { countLiveApiKeys, insertApiKey, lockKeyEnd } from '#shared/adapters/postgres/api-keys.ts';
import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import { lockCustomer } from '#shared/adapters/postgres/customers.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { type ApiKey, makeApiKey } from '#shared/domain/access/api-key.ts';
import type { Grant } from '#shared/domain/access/granting.ts';
import { Failure } from '#shared/domain/failure.ts';

/** `makerKeyId`: the key that asks, when one does. */
export type WantedKey = { grant: Grant; name: string; expiresAt: Date; by: string; makerKeyId?: string | undefined };

/** Usable keys a customer may have at a time. */
export const keysPerCustomer = 50;

/**
 * Makes a key and records it, in the caller's transaction. `text` is the key itself: it is shown to its maker once.
 * @throws Failure `invalid-request` for an unknown customer, `quota-exceeded`.
 */
export async function mintKey(transaction: Queryable, wanted: WantedKey): Promise<{ key: ApiKey; text: string }> {
  const { grant, name, by } = wanted;
  const expiresAt = await endOf(transaction, wanted);
  if (grant.customerId !== null) await checkCustomer(transaction, grant.customerId);
  const { id, secretSha256, text } = makeApiKey();
  const key = await insertApiKey(transaction, { ...grant, id, name, secretSha256, createdBy: by, expiresAt });
  await appendAudit(transaction, {
    actor: by,
    action: 'key.created',
    detail: { key: id, name, role: grant.role, customer: grant.customerId, scopes: grant.scopes, expiresAt },
  });
  return { key, text };
}

/** A key makes none that outlives it: whoever has taken one could keep what it opens by making others. */
async function endOf(transaction: Queryable, { expiresAt, makerKeyId }: WantedKey): Promise<Date> {
  if (makerKeyId === undefined) return expiresAt;
  const makersEnd = await lockKeyEnd(transaction, makerKeyId);
  if (makersEnd === undefined) throw new Failure('unauthenticated', 'The API key was revoked, or has expired.');
  return makersEnd < expiresAt ? makersEnd : expiresAt;
}

/** His row is locked, so that two who count at once do not both find room for the last one. */
async function checkCustomer(transaction: Queryable, customerId: string): Promise<void> {
  if ((await lockCustomer(transaction, customerId)) === undefined) {
    throw new Failure('invalid-request', 'There is no such customer.', { facts: { field: 'body.customer' } });
  }
  if ((await countLiveApiKeys(transaction, customerId)) < keysPerCustomer) return;
  const text = `There are ${keysPerCustomer} usable keys already: revoke one that is not needed.`;
  throw new Failure('quota-exceeded', text, { facts: { field: 'body' } });
}
