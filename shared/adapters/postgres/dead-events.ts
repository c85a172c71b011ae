import { createHash } from 'node:crypto';
import { isBrokerAttribute } from '#shared/adapters/eventing/broker-attributes.ts';
import type { Queryable } from './database.ts';
import type { Row } from './rows.ts';

/** transient: may succeed later, goes back by itself. permanent, unknown: wait for a person. */
export type DeadEventClass = Row<'dead_events'>['class'];

/** An event nobody could handle, as far as it could be read. */
export type DeadEvent = {
  source?: string | null;
  id?: string | null;
  type?: string | null;
  /** The function that received it. */
  receivedBy: string;
  /** A failure code, or `undelivered` for a dead letter. */
  reasonCode: string;
  /** Says what is wrong; holds nothing secret. */
  reason: string;
  contentType?: string | null;
  attributes?: Readonly<Record<string, string>>;
  /** As it came, byte for byte. */
  body: Uint8Array;
  /** False when `body` is only the beginning. Default true. */
  isWhole?: boolean;
  /** What the broker said that could not deliver it; absent when a function refused it. */
  undelivered?: Undelivered;
};

/** Why an event is a dead letter. */
export type Undelivered = {
  /** Where it was to be delivered. */
  origin: string | null;
  errorCode: number | null;
  errorData: string | null;
  class: DeadEventClass;
  /** When it was received, where that was before it is stored. */
  receivedAt?: Date;
};

/**
 * Keeps a bad event or a dead letter for people to look at and for replays. The same one again (origin, attributes that are
 * not a broker's, body) is counted, not stored twice; the reason becomes the latest one. One that was replayed in between
 * waits again, or is given up when there is no further wait in `waitsMs`. Text that PostgreSQL cannot hold (NUL, lone
 * surrogates) is replaced by U+FFFD.
 *
 * @param options.waitsMs the wait before each replay of a transient one; see `replayWaits`.
 */
export async function storeDeadEvent(
  queryable: Queryable,
  event: DeadEvent,
  options: { waitsMs?: readonly number[] } = {},
): Promise<{ sequence: number; deliveries: number }> {
  const { undelivered } = event;
  const { rows } = await queryable.query<{ sequence: number; deliveries: number }>(storeStatement, [
    event.source == null ? null : storable(event.source),
    event.id == null ? null : storable(event.id),
    event.type == null ? null : storable(event.type),
    event.contentType == null ? null : storable(event.contentType),
    event.receivedBy,
    event.reasonCode,
    storable(event.reason),
    JSON.stringify(Object.fromEntries(storableAttributes(event))),
    Buffer.from(event.body),
    deadEventDigest(event),
    event.isWhole ?? true,
    undelivered?.origin == null ? null : storable(undelivered.origin),
    undelivered?.errorCode ?? null,
    undelivered?.errorData == null ? null : storable(undelivered.errorData),
    undelivered?.class ?? 'permanent',
    undelivered?.receivedAt ?? null,
    options.waitsMs ?? [],
  ]);
  return rows[0] as { sequence: number; deliveries: number };
}

const wait = (replays: string) => `clock_timestamp() + ($17::integer[])[${replays} + 1] * interval '1 millisecond'`;

const storeStatement = `
  insert into dead_events (source, id, type, content_type, received_by, reason_code, reason, attributes, body, digest,
    is_whole, origin, error_code, error_data, class, received_at, next_replay_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,
    least(coalesce($16::timestamptz, now()), now()), case when $15 = 'transient' then ${wait('0')} end)
  on conflict (digest) do update set
    deliveries = dead_events.deliveries + 1,
    reason_code = excluded.reason_code,
    reason = excluded.reason,
    attributes = excluded.attributes,
    error_code = excluded.error_code,
    error_data = excluded.error_data,
    class = excluded.class,
    state = case
      when dead_events.state = 'given-up' then 'given-up'
      when excluded.class = 'transient' and ($17::integer[])[dead_events.replays + 1] is null then 'given-up'
      else 'waiting' end,
    next_replay_at = case
      when excluded.class <> 'transient' or dead_events.state = 'given-up' then null
      when ($17::integer[])[dead_events.replays + 1] is null then null
      when dead_events.state = 'waiting' and dead_events.next_replay_at is not null then dead_events.next_replay_at
      else ${wait('dead_events.replays')} end
  returning sequence, deliveries`;

/** sha256 of what makes a dead event the same one: a dead letter's origin, the publisher's attributes, the body. */
export function deadEventDigest(event: DeadEvent): Buffer {
  const head = [event.source, event.id, event.type, event.contentType].map((text) =>
    text == null ? null : storable(text),
  );
  const attributes = storableAttributes(event);
  const identity =
    event.undelivered === undefined
      ? [head, attributes]
      : [head, attributes.filter(([name]) => !isBrokerAttribute(name)), event.undelivered.origin];
  return createHash('sha256').update(JSON.stringify(identity)).update('\n').update(event.body).digest();
}

function storableAttributes(event: DeadEvent): (readonly [string, string])[] {
  return Object.entries(event.attributes ?? {})
    .map(([name, value]) => [storable(name), storable(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}
