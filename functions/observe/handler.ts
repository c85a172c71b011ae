import { hash } from 'node:crypto';
import type { resourceAdd } from '#events/knative/resource-add.ts';
import { resourceDelete } from '#events/knative/resource-delete.ts';
import type { resourceUpdate } from '#events/knative/resource-update.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import { type ClusterNews, instanceOf } from '#shared/adapters/kubernetes/cluster-object.ts';
import { seenOf } from '#shared/adapters/kubernetes/seen.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import type { StreamPosition } from '#shared/adapters/postgres/observations.ts';
import { asFailure, type FailureCode } from '#shared/domain/failure.ts';
import { instanceIdPattern } from '#shared/domain/instance/names.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { inBatches } from '#shared/runtime/batch.ts';
import { type Observation, recordObservations } from '#shared/runtime/observations.ts';
import { letsOperationsGoOn } from './relevant.ts';

export type ObserveDependencies = {
  database: Database;
  eventSource: string;
  /** Publishes what waits in the outbox; does not throw. */
  flush(): Promise<void>;
};

/** An event of Knative's ApiServerSource. */
export type ClusterEvent = TypedEvent<typeof resourceAdd | typeof resourceUpdate | typeof resourceDelete>;

/** As many as are let in at once (containerConcurrency). */
const maxBatch = 100;

/** The database is away or set up wrongly: running each event alone would fail as often as there are events. */
const everybodys: readonly FailureCode[] = ['unavailable', 'timeout', 'outcome-unknown', 'misconfigured'];

/**
 * Handles events about objects of the cluster: tells the operation at work on their instance to look again; where none
 * is at work, they become the observed status. What comes at the same time is written together. Hints only: what is
 * lost here is found by the tick.
 *
 * These events are trusted without a signature, which their source cannot make: whoever may send to the broker can make
 * the observed status wrong (running, error, missing) until the object's next event or the instance's next operation, and
 * can wake operations, which look for themselves. What is wanted, and every other status, never comes from here: nothing
 * may be decided by an observed status alone.
 */
export function observer({
  database,
  eventSource,
  flush,
}: ObserveDependencies): (event: ClusterEvent) => Promise<string> {
  const record = inBatches(
    (observations: readonly Observation[]) => recordObservations(observations, { database, eventSource }),
    { maxItems: maxBatch, isEverybodys: (error) => everybodys.includes(asFailure(error).code) },
  );
  return async (event) => {
    const observation = readObservation(event, Date.now());
    if (observation === undefined) return 'nothing-to-do';
    const outcome = await record(observation);
    if (outcome === 'changed' || outcome === 'advanced') await flush();
    return outcome;
  };
}

/** What an event says about an instance; undefined when it matters to nobody. */
export function readObservation(event: ClusterEvent, nowMs: number): Observation | undefined {
  const object = event.data;
  const news: ClusterNews = { object, isDeleted: event.type === resourceDelete.type };
  const instanceId = instanceOf(object);
  // Jobs that make templates belong to no instance.
  if (instanceId === undefined || !instanceIdPattern.test(instanceId)) return undefined;
  const seen = isStale(event.time, nowMs) ? undefined : seenOf(news, instanceId);
  const wakes = letsOperationsGoOn(news) ? wakeOf(news) : undefined;
  if (seen === undefined && wakes === undefined) return undefined;
  const { source, id, type } = event;
  const position = seen === undefined ? undefined : positionOf(event);
  const said = { instanceId, seen, wakes, position };
  return { delivery: { source, id, type, dataHash: hashOf(said) }, ...said };
}

/**
 * Tells one event from another under the same id: of what is read of it, not of the whole object, whose hash would take
 * as long as all the rest.
 */
function hashOf(said: Omit<Observation, 'delivery'>): Buffer {
  return hash('sha256', JSON.stringify(said), 'buffer');
}

/** Longer than a broker goes on retrying, and than clocks differ. */
const staleAfterMs = 3_600_000;

/** A dead letter that is sent again says what was, not what is. */
function isStale(time: string | undefined, nowMs: number): boolean {
  return time !== undefined && nowMs - Date.parse(time) > staleAfterMs;
}

function wakeOf({ object, isDeleted }: ClusterNews): { reason: string; state: string } {
  const { kind, metadata, status } = object;
  const reason = oneLine(`${kind} ${metadata.name} ${isDeleted ? 'is gone' : 'changed'}`, 200);
  return { reason, state: JSON.stringify([kind, metadata.name, metadata.generation, isDeleted ? 'gone' : status]) };
}

/**
 * Where the news stands among those of its Deployment, by the resource version: it grows with every change of a cluster,
 * also when the object is deleted and made again. One that is no number is not compared.
 */
function positionOf({ source, data }: ClusterEvent): StreamPosition | undefined {
  const version = data.metadata['resourceVersion'];
  if (typeof version !== 'string' || !/^\d{1,15}$/.test(version)) return undefined;
  return { source, stream: `Deployment ${data.metadata.namespace}/${data.metadata.name}`, sequence: Number(version) };
}
