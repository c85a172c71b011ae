import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { readFleetFacts } from '#shared/adapters/postgres/fleet-facts.ts';
import { listBlindPlaces } from '#shared/adapters/postgres/reconcile-shards.ts';
import { instancesOfShard, readCatalogue } from '#shared/adapters/postgres/shard-instances.ts';
import type { Blindness } from '#shared/domain/drift/changes.ts';
import {
  type Finding,
  type FoundOrphan,
  findingsOfInstance,
  type InstanceFacts,
  type KnownInstance,
  merged,
  orphansOf,
  type Place,
} from '#shared/domain/drift/findings.ts';
import { findingsOfFleet } from '#shared/domain/drift/fleet.ts';
import type { InstanceStatus } from '#shared/domain/instance/instance.ts';
import { statusAfter } from '#shared/domain/instance/transitions.ts';
import type { Sight } from '../observations.ts';
import { pageSize, type ReconcileEngine, surveyDeadlineMs } from './engine.ts';
import { type Surveyed, surveyShard, type Unanswering } from './surveys.ts';

/** `becomes`: the status that it gives the instance at once, if it does; bad news must stand first. */
export type Contradiction = Sight & { becomes: InstanceStatus | undefined };

/** What one look found, and where it saw nothing. */
export type Look = {
  findings: Finding[];
  orphans: readonly FoundOrphan[];
  /** Servers whose count of instances is not the number of its rows. */
  miscounted: readonly string[];
  /** What the cluster says of instances whose status says otherwise. */
  contradictions: readonly Contradiction[];
  blind: Blindness;
  instances: number;
};

type Looker = Pick<ReconcileEngine, 'surveyors' | 'clusterId' | 'onTrouble' | 'warmShortages'> & {
  database: Queryable;
};

/**
 * Looks at all that belongs to a shard and changes nothing. The places are read first and the records after them: an
 * instance whose operation was at work since `began` is left alone, so what is compared belongs together.
 */
export async function lookAtShard(
  looker: Looker,
  work: { shard: string; began: Date; unanswering: Unanswering },
): Promise<Look> {
  const { database, surveyors, clusterId, onTrouble } = looker;
  const { shard, began, unanswering } = work;
  const before = await readCatalogue(database);
  const surveys = await surveyShard(
    surveyors,
    { shard, catalogue: before },
    { deadlineMs: surveyDeadlineMs, unanswering, onTrouble },
  );
  // Again: what was added meanwhile is referred to by the rows that are read now.
  const catalogue = await readCatalogue(database);
  const findings: Finding[] = [];
  const known: KnownInstance[] = [];
  const moving = new Set<string>();
  const contradictions: Contradiction[] = [];
  let instances = 0;
  for await (const page of instancesOfShard(database, catalogue, { shard, pageSize, since: began })) {
    for (const facts of page) {
      instances += 1;
      const { id, databaseServer } = facts.instance;
      if (facts.isMoving) moving.add(id);
      if (!facts.isPurged || facts.isMoving) known.push({ id, serverId: databaseServer?.id ?? null });
      findings.push(...findingsOfInstance(facts, surveys, { clusterId }));
      contradictions.push(...contradictionOf(facts, surveys, clusterId));
    }
  }
  const orphans = orphansOf(surveys, known).filter(({ finding }) => !isOfMoving(finding, moving));
  return {
    findings: merged([...findings, ...orphans.map(({ finding }) => finding)]),
    orphans,
    miscounted: [],
    contradictions,
    blind: { places: surveys.blind, moving },
    instances,
  };
}

/** An event that said so may have been lost. */
function contradictionOf(
  { instance, isMoving, isPurged }: InstanceFacts,
  surveys: Surveyed,
  clusterId: string,
): Contradiction[] {
  if (isMoving || isPurged || instance.clusterId !== clusterId) return [];
  const seen = surveys.cluster?.seenOf?.(instance.id);
  if (seen === undefined || (seen.what === 'available') === (instance.status === 'running')) return [];
  const becomes = seen.what === 'available' ? statusAfter(instance.status, 'observed-available', instance) : undefined;
  return [{ instanceId: instance.id, seen, becomes }];
}

/** One that moves between servers has things on both. */
function isOfMoving({ instanceId }: Finding, moving: ReadonlySet<string>): boolean {
  return instanceId !== null && moving.has(instanceId);
}

/** An operation that is due for so long is in nobody's hands: the tick tells of it every few seconds. */
const stuckAfterMinutes = 10;

/** Looks at the fleet itself: counts, operations, waiting events, and whether everything can be read. */
export async function lookAtFleet({ database, warmShortages, onTrouble }: Looker): Promise<Look> {
  const facts = await readFleetFacts(database, { stuckAfterMinutes });
  const unreadable = await listBlindPlaces(database);
  const shortages = await warmShortages().catch((error: unknown) => {
    onTrouble('survey of warm databases', error);
    return [];
  });
  const findings = findingsOfFleet({
    ...facts,
    warmShortages: shortages,
    unreadable: unreadable.map((place) => place as Place),
  });
  return {
    findings: merged(findings),
    orphans: [],
    contradictions: [],
    miscounted: facts.counts.map(({ serverId }) => serverId),
    blind: { places: new Set(), moving: new Set() },
    instances: 0,
  };
}
