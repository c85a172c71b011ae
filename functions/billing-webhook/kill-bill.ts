import * as v from 'valibot';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { noteNotification } from '#shared/adapters/postgres/billing-notifications.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { askForLook } from '#shared/adapters/postgres/kill-bill-accounts.ts';
import { askForLooks } from '#shared/runtime/kill-bill/look.ts';
import { checkedBody, readJson } from './body.ts';

const id = v.pipe(v.string(), v.regex(/^[0-9A-Fa-f-]{36}$/, 'must be a UUID'));
const schema = v.object({
  // open: a release may bring new ones
  eventType: v.pipe(v.string(), v.regex(/^[A-Z][A-Z_]{0,99}$/, "must be one of Kill Bill's event types")),
  accountId: v.optional(v.nullable(id), null),
  objectId: v.optional(v.nullable(id), null),
  objectType: v.optional(v.nullable(v.string()), null),
});

/**
 * Keeps that Kill Bill told something, and asks for a look at the account: whatever the type, and though the same came
 * before. Kill Bill gives its notifications no id, and two that look alike may tell of two things; what is so is read
 * from its API, and said only when it is new.
 * @throws Failure `invalid-event` that names the field.
 */
export async function acceptKillBill(
  transaction: Queryable,
  { body, eventSource }: { body: Buffer; eventSource: string },
): Promise<'accepted' | 'repeated' | 'noted'> {
  const content = readJson(body);
  const { eventType, accountId, objectId } = checkedBody(schema, content);
  const contentHash = hashOfData(content);
  const noted = await noteNotification(transaction, {
    form: 'kill-bill',
    key: contentHash,
    contentHash,
    type: eventType,
    accountId,
    objectId,
  });
  // of the tenant, or of nothing that was made yet
  if (accountId === null) return 'noted';
  if (await askForLook(transaction, accountId.toLowerCase())) {
    await askForLooks(transaction, eventSource, [accountId.toLowerCase()]);
  }
  return noted === 'new' ? 'accepted' : 'repeated';
}
