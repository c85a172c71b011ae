import * as v from 'valibot';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { type DeadEvent, deadEventDigest, storeDeadEvent } from '#shared/adapters/postgres/dead-events.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { replayWaits } from './waits.ts';

/** Where dead letters are kept while the platform's database is away. */
export const spoolPrefix = 'dead-letters/';

const nullableText = v.nullable(v.string());
const spooled = v.object({
  version: v.literal(1),
  source: nullableText,
  id: nullableText,
  type: nullableText,
  receivedBy: v.string(),
  reasonCode: v.string(),
  reason: v.string(),
  contentType: nullableText,
  attributes: v.record(v.string(), v.string()),
  bodyBase64: v.string(),
  isWhole: v.boolean(),
  undelivered: v.object({
    origin: nullableText,
    errorCode: v.nullable(v.number()),
    errorData: nullableText,
    class: v.picklist(['transient', 'permanent', 'unknown']),
    receivedAt: v.string(),
  }),
});

/** A dead letter. */
export type UndeliveredEvent = DeadEvent & Required<Pick<DeadEvent, 'undelivered'>>;

/** A dead letter as an object's bytes: one JSON document. */
export function encodeSpooled(event: UndeliveredEvent, receivedAt: Date): Buffer {
  const { undelivered } = event;
  const document: v.InferOutput<typeof spooled> = {
    version: 1,
    source: event.source ?? null,
    id: event.id ?? null,
    type: event.type ?? null,
    receivedBy: event.receivedBy,
    reasonCode: event.reasonCode,
    reason: event.reason,
    contentType: event.contentType ?? null,
    attributes: { ...event.attributes },
    bodyBase64: Buffer.from(event.body).toString('base64'),
    isWhole: event.isWhole ?? true,
    undelivered: { ...undelivered, receivedAt: receivedAt.toISOString() },
  };
  return Buffer.from(JSON.stringify(document));
}

/** @throws Error when the bytes are no dead letter of ours. */
export function decodeSpooled(bytes: Buffer): UndeliveredEvent {
  const { version: _, bodyBase64, undelivered, ...rest } = v.parse(spooled, JSON.parse(bytes.toString('utf8')));
  const receivedAt = new Date(undelivered.receivedAt);
  return { ...rest, body: Buffer.from(bodyBase64, 'base64'), undelivered: { ...undelivered, receivedAt } };
}

/** Keeps a dead letter in the object store. The same one is one object, however often it comes. */
export async function spoolLetter(spool: ObjectStore, event: UndeliveredEvent): Promise<void> {
  const key = `${spoolPrefix}${deadEventDigest(event).toString('hex')}.json`;
  await spool.put(key, encodeSpooled(event, new Date()), { onlyIfNew: true });
}

export type ImportReport = {
  imported: number;
  /** Objects below the prefix that are no dead letters of ours: left where they are, for a person. */
  unreadable: readonly string[];
};

/**
 * Brings what was spooled into the database, then removes it. A crash in between imports it once more, which is counted as
 * one more delivery of the same row. Ends at `deadlineMs` of the process's clock; the next call goes on.
 */
export async function importSpool(
  database: Database,
  spool: ObjectStore,
  { deadlineMs }: { deadlineMs: number },
): Promise<ImportReport> {
  const unreadable: string[] = [];
  let imported = 0;
  let after: string | undefined;
  do {
    const page = await spool.list({ prefix: spoolPrefix, after, limit: 100 });
    for (const key of page.keys) {
      if (performance.now() > deadlineMs) return { imported, unreadable };
      const bytes = await spool.get(key);
      // another tick was quicker
      if (bytes === undefined) continue;
      const event = readOrUndefined(bytes);
      if (event === undefined) {
        unreadable.push(key);
        continue;
      }
      await storeDeadEvent(database, event, { waitsMs: replayWaits() });
      await spool.remove(key);
      imported += 1;
    }
    after = page.next;
  } while (after !== undefined);
  return { imported, unreadable };
}

function readOrUndefined(bytes: Buffer): UndeliveredEvent | undefined {
  try {
    return decodeSpooled(bytes);
  } catch {
    // reported by its key; what is in it may be anything
    return undefined;
  }
}
