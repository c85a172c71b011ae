import { type Instance, type InstanceStatus, isMade } from '../instance/instance.ts';
import type { DriftKind } from './policy.ts';
import type { Drift, Orphan, Survey } from './ports.ts';

/** Where something was seen. A place that could not be read keeps what was found there before. */
export type Place = 'records' | 'cluster' | `server ${string}`;

/** Something that is not as the records want it. One per kind and subject. */
export type Finding = {
  kind: DriftKind;
  /** An instance's id, or what it is and its name, such as `server one`. */
  subject: string;
  /** The instance it belongs to, as far as that is known; there may be no row of it. */
  instanceId: string | null;
  place: Place;
  /** What exactly, in words that stay the same while it does. */
  detail: string;
};

/** An instance and what decides whether anything may be said about it. */
export type InstanceFacts = {
  instance: Instance;
  /** An operation is unfinished, or ended after the surveys began: what was seen is neither before nor after. */
  isMoving: boolean;
  isPurged: boolean;
};

/** What was read of a shard. A place that could not be read is missing. */
export type ShardSurveys = { cluster: Survey | undefined; servers: ReadonlyMap<string, Survey> };

export const placeOfServer = (serverId: string): Place => `server ${serverId}`;

/** What a termination of an instance that was never brought about may have left. */
const leftovers: readonly DriftKind[] = ['still-in-cluster', 'database-not-aside'];

/**
 * What is amiss about one instance. Nothing is said about one that an operation is at work on, that was never brought
 * about (its provisioning does that) and lives, or that is purged.
 */
export function findingsOfInstance(
  { instance, isMoving, isPurged }: InstanceFacts,
  surveys: ShardSurveys,
  options: { clusterId: string },
): Finding[] {
  const isTerminated = instance.desiredState === 'terminated';
  if (isMoving || isPurged || (!isMade(instance) && !isTerminated)) return [];
  const findings: Finding[] = [];
  const add = (place: Place, drifts: readonly Drift[]) => {
    for (const { kind, detail } of drifts) {
      if (!isMade(instance) && !leftovers.includes(kind)) continue;
      findings.push({ kind, subject: instance.id, instanceId: instance.id, place, detail });
    }
  };
  if (isUnsettled(instance)) add('records', [{ kind: 'unsettled', detail: `its status is ${instance.status}` }]);
  if (instance.clusterId === options.clusterId && surveys.cluster !== undefined) {
    add('cluster', surveys.cluster.driftOf(instance));
  }
  const server = instance.databaseServer;
  const catalogue = server === null ? undefined : surveys.servers.get(server.id);
  if (server !== null && catalogue !== undefined) add(placeOfServer(server.id), catalogue.driftOf(instance));
  return findings;
}

/** Statuses an instance may stay in without anybody at work on it; `missing` is told by what is missing. */
const resting: readonly InstanceStatus[] = ['running', 'stopped', 'suspended', 'missing', 'terminated'];

/** What is left to be told when these statuses have become right meanwhile. Pure. */
export function withoutSettled(findings: readonly Finding[], changed: ReadonlyMap<string, InstanceStatus>): Finding[] {
  return findings.filter(({ kind, subject }) => {
    const status = changed.get(subject);
    return kind !== 'unsettled' || status === undefined || !resting.includes(status);
  });
}

/** What was wanted last has not been brought about, or nobody knows how it stands: an operation has failed. */
function isUnsettled(instance: Instance): boolean {
  if (instance.desiredState === 'terminated') return instance.status !== 'terminated';
  return instance.generation !== instance.observedGeneration || !resting.includes(instance.status);
}

/** Who may have things in the places of a shard: every instance that is not purged. */
export type KnownInstance = { id: string; serverId: string | null };

/** An orphan with its finding. */
export type FoundOrphan = { finding: Finding; orphan: Orphan };

/**
 * What belongs to nobody. A database of a known instance on another server than its record names is no orphan: it
 * may be the one with the data, so it is reported and never put aside.
 */
export function orphansOf(surveys: ShardSurveys, known: readonly KnownInstance[]): FoundOrphan[] {
  const ids = new Set(known.map(({ id }) => id));
  const found = (place: Place, orphans: readonly Orphan[]) =>
    orphans.map((orphan) => ({
      orphan,
      finding: {
        kind: orphan.kind,
        subject: place === 'cluster' ? orphan.name : `${orphan.name} on ${place}`,
        instanceId: orphan.instanceId,
        place,
        detail: orphan.detail,
      },
    }));
  return [
    ...(surveys.cluster === undefined ? [] : found('cluster', surveys.cluster.orphans(ids))),
    ...[...surveys.servers].flatMap(([serverId, survey]) => {
      const here = new Set(known.filter((one) => one.serverId === serverId).map(({ id }) => id));
      const orphans = survey.orphans(here).map((orphan) => misplaced(orphan, ids));
      return found(placeOfServer(serverId), orphans);
    }),
  ];
}

function misplaced(orphan: Orphan, known: ReadonlySet<string>): Orphan {
  if (orphan.instanceId === null || !known.has(orphan.instanceId)) return orphan;
  const { quarantine: _never, ...rest } = orphan;
  const kind = orphan.kind === 'orphan-database' ? 'database-elsewhere' : orphan.kind;
  return { ...rest, kind, detail: 'its record names another server' };
}

/** One finding per kind and subject, with all their details. */
export function merged(findings: readonly Finding[]): Finding[] {
  const byKey = new Map<string, Finding>();
  for (const finding of findings) {
    const key = keyOf(finding);
    const other = byKey.get(key);
    byKey.set(key, other === undefined ? finding : { ...other, detail: bothDetails(other.detail, finding.detail) });
  }
  return [...byKey.values()];
}

function bothDetails(one: string, other: string): string {
  const parts = new Set([...one.split('; '), ...other.split('; ')]);
  return [...parts].sort().join('; ');
}

/** What makes two findings the same one. */
export function keyOf({ kind, subject }: Pick<Finding, 'kind' | 'subject'>): string {
  return `${kind} ${subject}`;
}
