import type { Database } from '#shared/adapters/postgres/database.ts';
import type { Finding } from '#shared/domain/drift/findings.ts';
import type { FleetFacts } from '#shared/domain/drift/fleet.ts';
import type { Surveyors } from '#shared/domain/drift/ports.ts';

/** What the passes over the fleet need. */
export type ReconcileEngine = {
  database: Database;
  surveyors: Surveyors;
  /** The cluster that `surveyors.cluster` reads; instances of others are not compared with it. */
  clusterId: string;
  /** Templates of which servers have too few clones. */
  warmShortages: () => Promise<FleetFacts['warmShortages']>;
  /** Names this process in leases. */
  holder: string;
  eventSource: string;
  settings: ReconcileSettings;
  /** Told once when something appears, not at every pass. */
  onFinding: (finding: Finding) => void;
  onTrouble: (what: string, error: unknown) => void;
};

export type ReconcileSettings = {
  /** Time between two passes over a shard, a tenth more or less. */
  everyMs: number;
  /** Orphans that stand for so long are put out of use. */
  orphanQuarantineDays: number;
  /** Ask for the purge of instances whose undo window is over. */
  purgesAfterWindow: boolean;
};

/** Instances read at once: some hundred KB. */
export const pageSize = 500;

/** One place, one shard: lists of some pages. */
export const surveyDeadlineMs = 8_000;

/** Operations one pass asks for: a cluster that was lost must not bring all repairs at one moment. */
export const requestsPerPass = 50;
