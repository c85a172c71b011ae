import * as v from 'valibot';
import type { SuspensionReason } from '../instance/instance.ts';

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(500));

/** What an instance's objects carry, so that a row that was lost can be entered again. */
export const instanceRecordSchema = v.object({
  customer: text,
  name: text,
  plan: text,
  image: text,
  language: text,
  login: text,
  modules: v.array(text),
  settings: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
  /** The instance that this one is a copy of. */
  clonedFrom: v.exactOptional(text),
});
export type InstanceRecord = v.InferOutput<typeof instanceRecordSchema>;

/** What the cluster holds of one instance. */
export type ClusterHoldings = {
  /** The highest fence that any of its objects was written under. */
  fence: number;
  /** Of the web Deployment. `restartedBy`: the restart its pods must have seen. */
  deployment: { replicas: number; restartedBy: string | null } | undefined;
  /** `suspendedFor`: where its host leads to the page for suspended instances. */
  ingress: { host: string; suspendedFor: SuspensionReason | undefined } | undefined;
  hasVolume: boolean;
  record: InstanceRecord | undefined;
  /** Where its odoo.conf says that its database is. */
  databaseServer: { host: string; port: number } | undefined;
};

/** What one database server holds of instances, by their ids. */
export type ServerHoldings = {
  serverId: string;
  fences: ReadonlyMap<string, number>;
  /** Databases under their own name, and those set aside by a termination. */
  live: ReadonlySet<string>;
  aside: ReadonlySet<string>;
  /** Databases that restores took out, by their names. */
  oldSides: readonly string[];
};

/** An instance as the world shows it, all places taken together. */
export type SeenInstance = {
  id: string;
  fence: number;
  liveOn: readonly string[];
  asideOn: readonly string[];
  cluster: ClusterHoldings | undefined;
};

/**
 * Database servers that odoo.conf of instances names and that are none of `known`, as `host:port`, each with the instances that
 * are on it: added since the records were backed up, or taken out of them.
 */
export function unknownServers(
  cluster: ReadonlyMap<string, Pick<ClusterHoldings, 'databaseServer'>>,
  known: readonly { host: string; port: number }[],
): Map<string, string[]> {
  const placeOf = ({ host, port }: { host: string; port: number }) => `${host}:${port}`;
  const places = new Set(known.map(placeOf));
  const unknown = new Map<string, string[]>();
  for (const [id, { databaseServer }] of cluster) {
    if (databaseServer === undefined || places.has(placeOf(databaseServer))) continue;
    const place = placeOf(databaseServer);
    unknown.set(place, [...(unknown.get(place) ?? []), id].sort());
  }
  return unknown;
}

/** Everything that is to be seen of instances, by their ids. */
export function seenInstances(
  cluster: ReadonlyMap<string, ClusterHoldings>,
  servers: readonly ServerHoldings[],
): Map<string, SeenInstance> {
  const ids = new Set([
    ...cluster.keys(),
    ...servers.flatMap(({ fences, live, aside }) => [...fences.keys(), ...live, ...aside]),
  ]);
  const seen = [...ids].sort().map((id): SeenInstance => {
    const holdings = cluster.get(id);
    const holding = (which: 'live' | 'aside') => servers.filter((one) => one[which].has(id)).map((one) => one.serverId);
    return {
      id,
      fence: Math.max(holdings?.fence ?? 0, ...servers.map(({ fences }) => fences.get(id) ?? 0)),
      liveOn: holding('live'),
      asideOn: holding('aside'),
      cluster: holdings,
    };
  });
  return new Map(seen.map((one) => [one.id, one]));
}
