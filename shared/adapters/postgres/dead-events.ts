import { createHash } from 'node:crypto';
import type { Queryable } from './database.ts';

/** An event nobody could handle, as far as it could be read. */
export type DeadEvent = {
  source?: string | null;
  id?: string | null;
  type?: string | null;
  /** The function that received it. */
  receivedBy: string;
  /** A failure code. */
  reasonCode: string;
  /** Names the field that is wrong; holds nothing secret. */
  reason: string;
  contentType?: string | null;
  attributes?: Readonly<Record<string, string>>;
  /** As it came, byte for byte. */
  body: Uint8Array;
};

/**
 * Keeps a bad event for people to look at and replay. The same one again (attributes and body) is counted, not stored twice;
 * the reason becomes the latest one. Text that PostgreSQL cannot hold (NUL, lone surrogates) is replaced by U+FFFD.
 */
export async function storeDeadEvent(
  queryable: Queryable,
  event: DeadEvent,
): Promise<{ sequence: number; deliveries: number }> {
  const attributes = Object.entries(event.attributes ?? {})
    .map(([name, value]) => [storable(name), storable(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const head = [event.source, event.id, event.type, event.contentType].map((text) =>
    text == null ? null : storable(text),
  );
  const digest = createHash('sha256')
    .update(JSON.stringify([head, attributes]))
    .update('\n')
    .update(event.body)
    .digest();
  const { rows } = await queryable.query<{ sequence: number; deliveries: number }>(
    `insert into dead_events (source, id, type, content_type, received_by, reason_code, reason, attributes, body, digest)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (digest) do update
       set deliveries = dead_events.deliveries + 1, reason_code = excluded.reason_code, reason = excluded.reason
     returning sequence, deliveries`,
    [
      ...head,
      event.receivedBy,
      event.reasonCode,
      storable(event.reason),
      JSON.stringify(Object.fromEntries(attributes)),
      Buffer.from(event.body),
      digest,
    ],
  );
  return rows[0] as { sequence: number; deliveries: number };
}

function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}
