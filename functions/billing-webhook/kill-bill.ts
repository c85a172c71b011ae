import * as v from 'valibot';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { noteForLook, noteNotification } from '#shared/adapters/postgres/billing-notifications.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { lookEvent } from '#shared/runtime/kill-bill/look.ts';
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
  const notification = { form: 'kill-bill', key: contentHash, contentHash, type: eventType, objectId } as const;
  if (accountId === null) {
    // of the tenant, or of nothing that was made yet
    await noteNotification(transaction, { ...notification, accountId });
    return 'noted';
  }
  const account = accountId.toLowerCase();
  const ask = lookEvent(eventSource, account);
  const noted = await noteForLook(transaction, { ...notification, accountId: account }, ask);
  return noted === 'new' ? 'accepted' : 'repeated';
}
