import type { DatabaseServer, Instance } from '../instance/instance.ts';
import type { Seen } from '../observation/observation.ts';
import type { DriftKind } from './policy.ts';

/** Something amiss about one instance. `detail` names objects and fields, no secret and no number that moves by itself. */
export type Drift = { kind: DriftKind; detail: string };

/** Something that bears our name or label, of an instance that no record knows. */
export type Orphan = Drift & {
  /** Where it is found again, unique in its place: `Deployment odoo-…`, `database odoo_…`. */
  name: string;
  /** As its label or name says. */
  instanceId: string | null;
  /** Puts it out of use and deletes nothing; undefined where that cannot be done. */
  quarantine?: () => Promise<void>;
};

/** What a place holds of one shard, at one moment. All functions are pure. */
export type Survey = {
  /** What is amiss about an instance of the shard there. */
  driftOf(instance: Instance): readonly Drift[];
  /** Whether an instance runs; undefined where the place does not say. */
  seenOf?(instanceId: string): Seen | undefined;
  /** What belongs to no instance of these. A known one's things are never among them. */
  orphans(known: ReadonlySet<string>): readonly Orphan[];
};

/**
 * Looks at whole shards: lists by page and queries of catalogues, never a call per instance.
 * A shard is the first character of an instance's id.
 */
export type Surveyors = {
  cluster(shard: string): Promise<Survey>;
  server(server: DatabaseServer, shard: string): Promise<Survey>;
};
