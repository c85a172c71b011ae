import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import * as v from 'valibot';
import { eventByType } from '#events/catalogue.ts';
import { checkData } from '#events/check.ts';
import type { AnyEventDefinition } from '#events/envelope.ts';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { noteNotification } from '#shared/adapters/postgres/billing-notifications.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { Failure } from '#shared/domain/failure.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';
import { checkedBody, readJson } from './body.ts';

const schema = v.strictObject({
  type: v.pipe(v.string(), v.maxLength(100)),
  // the message's own time; the signed one decides how old it is
  timestamp: v.optional(v.string()),
  data: v.record(v.string(), v.unknown()),
});

/** Reads the secrets, so that a wrong one is met when the function starts. @throws Failure `misconfigured`. */
export function verifiersOf(secrets: readonly string[]): Webhook[] {
  return secrets.map((secret) => {
    try {
      return new Webhook(secret);
    } catch {
      const text =
        'BILLING_WEBHOOK_SECRET_FILE holds a line that is no key: write whsec_ and the base64 of 24 to 64 bytes.';
      throw new Failure('misconfigured', text);
    }
  });
}

/** Is the body signed by one of the secrets, less than five minutes ago? (Standard Webhooks 1.0) */
export function isSigned(verifiers: readonly Webhook[], headers: IncomingHttpHeaders, body: Buffer): boolean {
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;
  const given = Object.fromEntries(names.map((name) => [name, String(headers[name] ?? '')]));
  return verifiers.some((verifier) => {
    try {
      verifier.verify(body, given, { jsonParse: false });
      return true;
    } catch (caught) {
      if (caught instanceof WebhookVerificationError) return false;
      throw caught;
    }
  });
}

/**
 * Keeps a signed message of a billing service that speaks our own events, and publishes it once, whatever is delivered.
 * Its sender numbers what it says of a subscription.
 * @throws Failure `invalid-event` that names the field; `reused-event-id` when the message's id came with something else.
 */
export async function acceptSigned(
  transaction: Queryable,
  { body, headers, eventSource }: { body: Buffer; headers: IncomingHttpHeaders; eventSource: string },
): Promise<'accepted' | 'repeated'> {
  const { type, data } = checkedBody(schema, readJson(body));
  const definition = definitionOf(type);
  const checked = checkData(definition, data);
  if (!checked.accepted) throw new Failure('invalid-event', `${checked.reason}.`, { facts: { field: 'data' } });
  const messageId = String(headers['webhook-id'] ?? '');
  const { customer, subscription } = data as { customer?: unknown; subscription?: unknown };
  const noted = await noteNotification(transaction, {
    form: 'signed',
    key: createHash('sha256').update(messageId).digest(),
    contentHash: hashOfData({ type, data }),
    type,
    accountId: typeof customer === 'string' ? customer : null,
    objectId: typeof subscription === 'string' ? subscription : null,
  });
  if (noted === 'other-content') {
    throw new Failure('reused-event-id', 'This webhook-id came before, with another message. Give each its own.');
  }
  if (noted === 'repeated') return 'repeated';
  const subject = definition.subject.of(checked.data as never);
  await enqueue(transaction, [
    {
      id: eventIdOf(messageId, 'signed billing message'),
      type,
      source: eventSource,
      ...(subject === undefined ? {} : { subject }),
      data: checked.data,
    },
  ]);
  return 'accepted';
}

/** What billing and user services may say; never what we say ourselves. */
function definitionOf(type: string): AnyEventDefinition {
  const definition = /^dev\.odoofleet\.(billing|customer)\./.test(type) ? eventByType(type) : undefined;
  if (definition?.direction === 'in') return definition;
  const text = 'type must be one of the events of billing and of customers that come to us: see the catalogue.';
  throw new Failure('invalid-event', text, { facts: { field: 'type' } });
}
