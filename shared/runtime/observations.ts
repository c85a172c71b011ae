import { statusChanged } from '#events/instance/status-changed.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import {
  type Delivery,
  type Held,
  lockObserved,
  type ObservedInstance,
  type ObservedWrite,
  readNews,
  readObserved,
  readOvertaken,
  type StreamPosition,
  takeNoted,
  writeNews,
} from '#shared/adapters/postgres/observations.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { announce } from '#shared/domain/event/announce.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { InstanceStatus } from '#shared/domain/instance/instance.ts';
import {
  believedAfterMs,
  decideObservation,
  type Note,
  type ObservedChange,
  type Seen,
} from '#shared/domain/observation/observation.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { eventIdOf } from '#shared/domain/operation/identifiers.ts';

/** An event of the cluster about an object of an instance. */
export type Observation = {
  delivery: Delivery;
  instanceId: string;
  /** Undefined: it says nothing about the status. */
  seen: Seen | undefined;
  /** What comes after something later of the same stream is old. Undefined: nothing is known of its order. */
  position: StreamPosition | undefined;
  /** It lets an operation go on: why, and the state of the object; the same state wakes an operation once. */
  wakes: { reason: string; state: string } | undefined;
};

/** `changed`: the status; `noted`: bad news that is not believed yet; `advanced`: told the operation at work. */
export type ObservationOutcome =
  | 'changed'
  | 'noted'
  | 'advanced'
  | 'duplicate'
  | 'old-news'
  | 'unknown-instance'
  | 'nothing-to-do';

export type ObservationResult = PromiseSettledResult<ObservationOutcome>;

type Dependencies = { database: Database; eventSource: string };

/** Short: a row that is locked for longer makes its event come again, and must not hold up the batch. */
const transactionOptions = { lockTimeoutMs: 1_000 };

/**
 * Makes of cluster events what the rows say they mean, in one transaction for all: inbox, instance, outbox. Results in
 * the order of the events; several of one instance are decided one after the other. An event whose id was used with
 * other data fails alone.
 * @throws Failure: nothing of the batch has happened.
 */
export async function recordObservations(
  observations: readonly Observation[],
  { database, eventSource }: Dependencies,
): Promise<ObservationResult[]> {
  return await database.transaction(async (transaction) => {
    await lockObserved(transaction, [...new Set(observations.map(({ instanceId }) => instanceId))]);
    const batch = openBatch({ eventSource, ...(await readNews(transaction, observations)) });
    const results = observations.map((observation, index) => observe(batch, observation, index));
    await writeBatch(transaction, batch);
    return results;
  }, transactionOptions);
}

/** What a batch reads, and what it will write. */
type Batch = {
  eventSource: string;
  now: Date;
  held: readonly Held[];
  /** The rows as they were read. */
  before: ReadonlyMap<string, ObservedInstance>;
  /** The rows as they become. */
  instances: Map<string, ObservedInstance>;
  reasons: Map<string, string>;
  deliveries: Map<string, Delivery & { outcome: ObservationOutcome }>;
  streams: Map<string, StreamPosition>;
  events: OutgoingEvent[];
};

const keyOf = (...parts: readonly string[]) => parts.join('\n');

function openBatch(
  read: Pick<Batch, 'eventSource' | 'now' | 'held'> & { instances: ReadonlyMap<string, ObservedInstance> },
): Batch {
  return {
    ...read,
    before: read.instances,
    instances: new Map(read.instances),
    reasons: new Map(),
    deliveries: new Map(),
    streams: new Map(),
    events: [],
  };
}

function observe(batch: Batch, observation: Observation, index: number): ObservationResult {
  const { delivery } = observation;
  const key = keyOf(delivery.source, delivery.id);
  const held = batch.held[index] ?? { inbox: 'new', newest: -1 };
  const earlier = batch.deliveries.get(key);
  const isOther = earlier === undefined ? held.inbox === 'other-data' : !isSame(earlier, delivery);
  if (isOther) return { status: 'rejected', reason: reusedId(delivery) };
  if (earlier !== undefined || held.inbox === 'duplicate') return { status: 'fulfilled', value: 'duplicate' };
  const value = decide(batch, observation, held.newest);
  batch.deliveries.set(key, { ...delivery, outcome: value });
  return { status: 'fulfilled', value };
}

function isSame(one: Delivery, other: Delivery): boolean {
  return one.type === other.type && one.dataHash.equals(other.dataHash);
}

function reusedId({ source, id }: Delivery): Failure {
  return new Failure('reused-event-id', `Event id ${id} of source ${source} was used before with other data.`);
}

function decide(batch: Batch, observation: Observation, newest: number): ObservationOutcome {
  const instance = batch.instances.get(observation.instanceId);
  if (instance === undefined) return 'unknown-instance';
  const isOld = !takePosition(batch, observation.position, newest);
  const { after, change } = decideObservation(instance, isOld ? undefined : observation.seen, batch.now);
  batch.instances.set(instance.id, { ...instance, ...after });
  if (change !== undefined) {
    const { source, id } = observation.delivery;
    announceChange(batch, instance, { change, cause: keyOf(source, id), causationId: id });
    return 'changed';
  }
  if (instance.operation !== null && observation.wakes !== undefined) {
    batch.events.push(advanceOf(batch, instance.operation, { instanceId: instance.id, wakes: observation.wakes }));
    return 'advanced';
  }
  if (isOld) return 'old-news';
  return after.note === null || observation.seen === undefined ? 'nothing-to-do' : 'noted';
}

/** False when something later has been seen. */
function takePosition(batch: Batch, position: StreamPosition | undefined, newest: number): boolean {
  if (position === undefined) return true;
  const key = keyOf(position.source, position.stream);
  if (position.sequence < Math.max(newest, batch.streams.get(key)?.sequence ?? -1)) return false;
  if (position.sequence > newest) batch.streams.set(key, position);
  return true;
}

function announceChange(
  batch: Batch,
  instance: ObservedInstance,
  told: { change: ObservedChange; cause: string; causationId?: string },
): void {
  const { from, to } = told.change;
  const reason = oneLine(told.change.reason, 500);
  const data = {
    instance: instance.id,
    customer: instance.customerId,
    from,
    to,
    reason,
    generation: instance.generation,
  };
  const { causationId } = told;
  batch.reasons.set(instance.id, reason);
  batch.events.push(
    announce(statusChanged, data, {
      id: eventIdOf(instance.id, keyOf(told.cause, from, to)),
      source: batch.eventSource,
      ...(causationId === undefined ? {} : { causationId }),
    }),
  );
}

/** The same state of the same object gives the same event, however often it is delivered. */
function advanceOf(
  { eventSource }: Batch,
  operation: { id: string; kind: string },
  { instanceId, wakes }: { instanceId: string; wakes: { reason: string; state: string } },
): OutgoingEvent {
  const data = { operation: operation.id, instance: instanceId, kind: operation.kind, reason: wakes.reason };
  return announce(operationAdvance, data, { id: eventIdOf(operation.id, wakes.state), source: eventSource });
}

async function writeBatch(transaction: Queryable, batch: Batch): Promise<void> {
  // Deliveries of one event wait for each other at the instance's row; where there is none, nothing was done either.
  const rivals = await writeNews(transaction, {
    deliveries: [...batch.deliveries.values()],
    positions: [...batch.streams.values()],
    instances: changedInstances(batch),
  });
  if (rivals.some(({ outcome }) => outcome !== 'unknown-instance')) {
    throw new Failure('conflict', 'The id of an event is being used for two instances at once.');
  }
  await enqueue(transaction, batch.events);
}

function changedInstances({ before, instances, reasons }: Batch): ObservedWrite[] {
  return [...instances.values()].flatMap((instance) => {
    const was = before.get(instance.id);
    const isMoved = was?.status !== instance.status;
    const isNoteKept = !instance.hasVoidNote && was !== undefined && isSameNote(was.note, instance.note);
    if (!isMoved && isNoteKept) return [];
    const status = isMoved ? { to: instance.status, reason: reasons.get(instance.id) ?? '' } : undefined;
    return [{ id: instance.id, status, note: isNoteKept ? undefined : instance.note }];
  });
}

function isSameNote(one: Note | null, other: Note | null): boolean {
  if (one === null || other === null) return one === other;
  return one.what === other.what && one.reason === other.reason && one.at.getTime() === other.at.getTime();
}

/** What was read of an instance's runtime, not told by an event. */
export type Sight = { instanceId: string; seen: Seen };

/**
 * Makes of what was read of a cluster since `since` what events would have: bad news is noted first. An instance of
 * which an event or the end of an operation has told something since then is left as it is: what was read may be older.
 * Resolves with the statuses that changed, by instance.
 */
export async function recordSights(
  sights: readonly Sight[],
  { since }: { since: Date },
  { database, eventSource }: Dependencies,
): Promise<ReadonlyMap<string, InstanceStatus>> {
  if (sights.length === 0) return new Map();
  return await database.transaction(async (transaction) => {
    const changed = new Map<string, InstanceStatus>();
    const ids = sights.map(({ instanceId }) => instanceId);
    await lockObserved(transaction, ids);
    const overtaken = await readOvertaken(transaction, { ids, since });
    const batch = openBatch({ eventSource, held: [], ...(await readObserved(transaction, ids)) });
    for (const { instanceId, seen } of sights) {
      const instance = batch.before.get(instanceId);
      if (instance === undefined || overtaken.has(instanceId)) continue;
      const { after, change } = decideObservation(instance, seen, batch.now);
      batch.instances.set(instanceId, { ...instance, ...after });
      if (change === undefined) continue;
      announceChange(batch, instance, { change, cause: `seen ${batch.now.toISOString()}` });
      changed.set(instanceId, change.to);
    }
    await writeBatch(transaction, batch);
    return changed;
  }, transactionOptions);
}

/**
 * Believes bad news that has stood for long enough, and forgets what an operation has overtaken. For the tick: an event
 * may not come. Bounded; two at once share the work.
 */
export async function settleObservations(
  { database, eventSource }: Dependencies,
  { limit = 500 }: { limit?: number } = {},
): Promise<{ settled: number; changed: number }> {
  return await database.transaction(async (transaction) => {
    const ids = await takeNoted(transaction, { limit, notedForMs: believedAfterMs });
    if (ids.length === 0) return { settled: 0, changed: 0 };
    const batch = openBatch({ eventSource, held: [], ...(await readObserved(transaction, ids)) });
    for (const instance of batch.before.values()) {
      const { after, change } = decideObservation(instance, undefined, batch.now);
      batch.instances.set(instance.id, { ...instance, ...after });
      if (change === undefined) continue;
      announceChange(batch, instance, { change, cause: instance.note?.at.toISOString() ?? '' });
    }
    await writeBatch(transaction, batch);
    return { settled: ids.length, changed: batch.events.length };
  }, transactionOptions);
}
