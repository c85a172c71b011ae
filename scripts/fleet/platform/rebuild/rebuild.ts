import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { toDatabaseServer } from '#shared/adapters/postgres/database-servers.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { oldSideName } from '#shared/domain/backup/load-names.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { type Correction, type Entry, entryFor, verdictOn } from '#shared/domain/platform/rebuild.ts';
import {
  type ClusterHoldings,
  type SeenInstance,
  type ServerHoldings,
  seenInstances,
  unknownServers,
} from '#shared/domain/platform/world.ts';
import type { PlatformKeys } from '#shared/worker/platform/make.ts';
import {
  enterBackup,
  enterVerdict,
  forgetMissing,
  knownBackups,
  missingBackups,
  readStoredBackups,
  readVerdicts,
  type StoredBackups,
} from './backups.ts';
import { actor, correct, enter, raiseFences, readInstances } from './instances.ts';
import { settleWaiting, type Waiting } from './waiting.ts';

/** The places that know what happened since the backup. */
export type World = {
  cluster(): Promise<ReadonlyMap<string, ClusterHoldings>>;
  server(server: DatabaseServer): Promise<ServerHoldings>;
  /** undefined: there is no place for backups. */
  store: ObjectStore | undefined;
  keys: PlatformKeys;
};

export type Rebuilt = {
  /** The moment that the records held. */
  snapshotAt: Date;
  corrected: readonly Correction[];
  entered: readonly Entry[];
  fencesRaised: number;
  backups: {
    entered: readonly string[];
    missing: readonly string[];
    forgotten: boolean;
    proven: number;
    refuted: number;
  };
  waiting: Waiting;
  /** What a person has to look at. */
  reports: readonly string[];
};

/**
 * Puts restored records right by what the cluster, the database servers and the object store say, in one transaction, so that
 * it is done or not. Done twice it finds nothing more to do but to raise the fences further. Nothing in the world is changed.
 * @throws Failure when a place cannot be read: what it holds would be taken for lost. A server that will not come back is
 * left out by `status = 'error'` in db_servers.
 */
export async function rebuild(
  transaction: Queryable,
  world: World,
  options: { snapshotAt: Date; clusterId: string; forgetsMissing: boolean },
): Promise<Rebuilt> {
  const { snapshotAt, clusterId, forgetsMissing } = options;
  const reports: string[] = [];
  const servers = await serversToRead(transaction, reports);
  const [cluster, ...holdings] = await Promise.all([world.cluster(), ...servers.map((one) => world.server(one))]);
  const seen = seenInstances(cluster, holdings);
  const stored = await storedBackups(transaction, world);
  reports.push(...stored.reports, ...(await unknownOldSides(transaction, holdings)));
  reports.push(...(await unreadServers(transaction, cluster)), ...(await unreadClusters(transaction, clusterId)));

  const skipped = await instancesElsewhere(transaction, { servers, clusterId });
  const corrected = await correctAll(transaction, { seen, skipped, finals: stored.finals, snapshotAt, reports });
  const entered = await enterAll(transaction, { seen, clusterId, reports });
  const fencesRaised = await raiseFences(transaction, seen);
  const backups = await enterBackups(transaction, { world, stored, reports, forgetsMissing });
  const waiting = await settleWaiting(transaction, {
    snapshotAt,
    oldSides: new Set(holdings.flatMap(({ oldSides }) => oldSides)),
  });
  reports.push(...waiting.cancelled.map(cancelledReport), ...waiting.exchanged.map(exchangedReport));
  await countServers(transaction);
  const detail = {
    snapshotAt: snapshotAt.toISOString(),
    corrected: corrected.length,
    entered: entered.length,
    backups: backups.entered.length,
    reports,
  };
  await appendAudit(transaction, { actor, action: 'platform.rebuilt', detail });
  return { snapshotAt, corrected, entered, fencesRaised, backups, waiting, reports };
}

async function serversToRead(transaction: Queryable, reports: string[]): Promise<DatabaseServer[]> {
  const { rows } = await transaction.query<Row<'db_servers'>>(
    `select * from db_servers where purpose = 'tenants' order by id`,
  );
  for (const { id } of rows.filter(({ status }) => status === 'error')) {
    reports.push(
      `Server ${id} is marked as one with an error: it was not read, and its instances were left as they are.`,
    );
  }
  return rows.filter(({ status }) => status !== 'error').map(toDatabaseServer);
}

/** Servers that were added since: what lies on them was not read. */
async function unreadServers(transaction: Queryable, cluster: ReadonlyMap<string, ClusterHoldings>): Promise<string[]> {
  const { rows } = await transaction.query<{ host: string; port: number }>('select host, port from db_servers');
  return [...unknownServers(cluster, rows)].map(([place, ids]) => {
    const some = ids.length > 5 ? [...ids.slice(0, 5), '…'] : ids;
    return (
      `Database server ${place} has no row in db_servers, and odoo.conf of ${ids.length} instances names it (${some.join(', ')}): ` +
      'it was not read. Add it, and rebuild again.'
    );
  });
}

/** One cluster is read at a time: what is in the others is as the backup has it. */
async function unreadClusters(transaction: Queryable, clusterId: string): Promise<string[]> {
  const { rows } = await transaction.query<{ id: string; count: number }>(
    `select cluster_id as id, count(*)::integer as count from instances
     where cluster_id <> $1 and purged_at is null group by 1 order by 1`,
    [clusterId],
  );
  return rows.map(
    ({ id, count }) =>
      `Cluster ${id} was not read: its ${count} instances were left as the backup has them. Look at it.`,
  );
}

/** What restores since then have taken out: no row keeps it, and no row has it dropped. */
async function unknownOldSides(transaction: Queryable, holdings: readonly ServerHoldings[]): Promise<string[]> {
  const { rows } = await transaction.query<{ id: string; instanceId: string }>(
    'select id, instance_id as "instanceId" from restores',
  );
  const known = new Set(rows.map(({ id, instanceId }) => oldSideName({ instanceId, operationId: id })));
  return holdings.flatMap(({ serverId, oldSides }) =>
    oldSides
      .filter((name) => !known.has(name))
      .map(
        (name) =>
          `Server ${serverId} holds ${name}, which a restore has taken out since. Do not drop it before you have seen that ` +
          'the files were exchanged, too: then the store has swaps/…/result of that restore.',
      ),
  );
}

/** Instances of which not all places were read. */
async function instancesElsewhere(
  transaction: Queryable,
  { servers, clusterId }: { servers: readonly DatabaseServer[]; clusterId: string },
): Promise<ReadonlySet<string>> {
  const { rows } = await transaction.query<{ id: string }>(
    'select id from instances where cluster_id <> $1 or (db_server_id is not null and not db_server_id = any($2::text[]))',
    [clusterId, servers.map(({ id }) => id)],
  );
  return new Set(rows.map(({ id }) => id));
}

async function storedBackups(transaction: Queryable, { store, keys }: World): Promise<StoredBackups> {
  const known = await knownBackups(transaction);
  if (store !== undefined) return await readStoredBackups(store, { known, keys });
  const reports = ['There is no place for backups (BACKUP_STORE): what was backed up since is not known.'];
  return { ids: new Set(known.keys()), unknown: [], finals: new Map(), reports };
}

type Seen = { seen: ReadonlyMap<string, SeenInstance>; reports: string[] };

async function correctAll(
  transaction: Queryable,
  options: Seen & { skipped: ReadonlySet<string>; finals: ReadonlyMap<string, Date>; snapshotAt: Date },
): Promise<Correction[]> {
  const { seen, skipped, finals, snapshotAt, reports } = options;
  const corrections: Correction[] = [];
  for (const row of await readInstances(transaction)) {
    if (skipped.has(row.id)) continue;
    // an earlier one is of a termination that was taken back
    const final = finals.get(row.id);
    const hasFinalBackup = final !== undefined && final >= (row.terminatedAt ?? snapshotAt);
    const verdict = verdictOn(row, seen.get(row.id), { hasFinalBackup });
    if (verdict.report !== undefined) reports.push(verdict.report);
    if (verdict.correction !== undefined) corrections.push(verdict.correction);
  }
  // hosts are freed before they are taken
  const ordered = corrections.toSorted((one, other) => Number(one.host !== null) - Number(other.host !== null));
  for (const correction of ordered) await correct(transaction, correction);
  return ordered;
}

async function enterAll(
  transaction: Queryable,
  { seen, clusterId, reports }: Seen & { clusterId: string },
): Promise<Entry[]> {
  const known = new Set((await readInstances(transaction)).map(({ id }) => id));
  const entered: Entry[] = [];
  // a copy after what it is a copy of
  const isCopy = (one: SeenInstance) => Number(one.cluster?.record?.clonedFrom !== undefined);
  for (const one of [...seen.values()].toSorted((a, b) => isCopy(a) - isCopy(b))) {
    if (known.has(one.id)) continue;
    const { entry, report } = entryFor(one);
    if (report !== undefined) reports.push(report);
    if (entry === undefined) continue;
    const refusal = await enter(transaction, entry, { clusterId });
    if (refusal === undefined) entered.push(entry);
    else reports.push(refusal);
  }
  return entered;
}

async function enterBackups(
  transaction: Queryable,
  options: { world: World; stored: StoredBackups; reports: string[]; forgetsMissing: boolean },
): Promise<Rebuilt['backups']> {
  const { world, stored, reports, forgetsMissing } = options;
  const entered: string[] = [];
  const oldestFirst = stored.unknown.toSorted((one, other) =>
    one.manifest.snapshotAt < other.manifest.snapshotAt ? -1 : 1,
  );
  for (const one of oldestFirst) {
    const { backupId, instanceId } = one.manifest;
    if (await enterBackup(transaction, one)) entered.push(backupId);
    else reports.push(`The store has backup ${backupId} of instance ${instanceId}, which has no row: it was left out.`);
  }
  const none = { entered, missing: [], forgotten: false, proven: 0, refuted: 0 };
  if (world.store === undefined) return none;
  const missing = await missingBackups(transaction, stored.ids);
  if (missing.length > 0 && stored.ids.size === 0) {
    throw new Failure(
      'not-found',
      `The records know ${missing.length} good backups, and the store holds none: BACKUP_STORE names another place.`,
    );
  }
  if (forgetsMissing) await forgetMissing(transaction, missing);
  else if (missing.length > 0) {
    reports.push(
      `${missing.length} backups have no manifest in the store (${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ', …' : ''}). ` +
        'See that it is the right store. If retention has removed them since, say --forget-missing-backups.',
    );
  }
  const verdicts = await readVerdicts(world.store, transaction, world.keys);
  for (const one of verdicts) await enterVerdict(transaction, one);
  const proven = verdicts.filter(({ differences }) => differences.length === 0).length;
  return { entered, missing, forgotten: forgetsMissing, proven, refuted: verdicts.length - proven };
}

function cancelledReport({ id, kind, instanceId }: Waiting['cancelled'][number]): string {
  return `The ${kind} ${id} of instance ${instanceId} was under way: it is cancelled. Look what is there, and ask again if it is wanted.`;
}

function exchangedReport({ id, instanceId }: Waiting['exchanged'][number]): string {
  return (
    `The restore ${id} of instance ${instanceId} has exchanged the database since: it goes on when the records are open, and ` +
    'exchanges the files if that was not done.'
  );
}

/** What was entered counts, even where it is more than a server should hold: it is there. */
async function countServers(transaction: Queryable): Promise<void> {
  await transaction.query(
    `with counted as (select s.id, count(i.id)::integer as n from db_servers s
       left join instances i on i.db_server_id = s.id group by s.id)
     update db_servers s set instance_count = c.n, max_instances = greatest(s.max_instances, c.n)
     from counted c where c.id = s.id and s.instance_count <> c.n`,
  );
}
