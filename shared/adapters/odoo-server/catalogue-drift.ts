import type { Drift, Orphan } from '#shared/domain/drift/ports.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import type { DatabaseRow } from './databases.ts';
import { personalisedMark, tenantNames, tombstoneName } from './object-names.ts';

/** A database as the survey saw it. `bytes` is null where it was not measured. */
export type CatalogueDatabase = DatabaseRow & { bytes: number | null };

/** A role as the survey saw it. `connectionLimit` -1 is none. */
export type CatalogueRole = { name: string; mayLogIn: boolean; connectionLimit: number; isPrivileged: boolean };

/** What one server holds of a shard, by name. */
export type Catalogue = {
  databases: ReadonlyMap<string, CatalogueDatabase>;
  roles: ReadonlyMap<string, CatalogueRole>;
};

const bytesPerGib = 1024 ** 3;

/**
 * What is amiss about the databases and roles of one instance on the server it is placed on. Pure. Not for one that an
 * operation is at work on, that never had a database, or that is purged.
 */
export function databaseDriftOf(instance: Instance, found: Catalogue): readonly Drift[] {
  const { database } = tenantNames(instance.id);
  const tombstone = tombstoneName(instance.id);
  const live = found.databases.get(database);
  const aside = found.databases.get(tombstone);
  if (live !== undefined && aside !== undefined) {
    return [{ kind: 'database-doubled', detail: `both ${database} and ${tombstone}` }];
  }
  if (live === undefined && aside === undefined) {
    return [{ kind: 'database-missing', detail: `neither ${database} nor ${tombstone}` }];
  }
  if (instance.desiredState === 'terminated') return driftOfTerminated(instance, found);
  if (live === undefined) return [{ kind: 'database-aside', detail: tombstone }];
  return [...driftOfLive(instance, live), ...driftOfRoles(instance, found)];
}

function driftOfTerminated(instance: Instance, { databases, roles }: Catalogue): readonly Drift[] {
  const { database, role } = tenantNames(instance.id);
  const tombstone = tombstoneName(instance.id);
  const amiss = [
    [databases.has(database), `${database} has its own name`],
    [databases.get(tombstone)?.allowsConnections, `${tombstone} takes connections`],
    [roles.get(role)?.mayLogIn, `role ${role} may log in`],
  ] as const;
  return amiss.flatMap(([isAmiss, detail]) => (isAmiss === true ? [{ kind: 'database-not-aside', detail }] : []));
}

function driftOfLive(instance: Instance, live: CatalogueDatabase): readonly Drift[] {
  const { ownerRole, role } = tenantNames(instance.id);
  const { name } = live;
  const drifts: Drift[] = [];
  if (live.owner !== ownerRole) {
    drifts.push({ kind: 'database-owner-wrong', detail: `${name} belongs to role ${live.owner}` });
  }
  if (!live.allowsConnections) drifts.push({ kind: 'database-closed', detail: `${name} takes no connections` });
  if (live.publicMayConnect) {
    drifts.push({ kind: 'database-open-to-public', detail: `PUBLIC has CONNECT or TEMPORARY on ${name}` });
  }
  if (!live.namesakeMayConnect) {
    drifts.push({ kind: 'database-grants-wrong', detail: `role ${role} lacks CONNECT or TEMPORARY on ${name}` });
  }
  if (live.mark !== personalisedMark(instance.id)) {
    drifts.push({ kind: 'database-unpersonalised', detail: `${name} lacks the mark of the instance` });
  }
  const { diskGib } = instance.plan;
  if (live.bytes !== null && live.bytes > diskGib * bytesPerGib) {
    drifts.push({ kind: 'database-oversized', detail: `${name} is larger than ${diskGib} GiB` });
  }
  return drifts;
}

function driftOfRoles(instance: Instance, { roles }: Catalogue): readonly Drift[] {
  const { role, ownerRole } = tenantNames(instance.id);
  const limit = instance.plan.databaseConnections;
  const drifts: Drift[] = [];
  const wrong = (isWrong: boolean | undefined, detail: string) => {
    if (isWrong === true) drifts.push({ kind: 'role-wrong', detail });
  };
  for (const name of [role, ownerRole]) {
    if (!roles.has(name)) drifts.push({ kind: 'role-missing', detail: name });
    wrong(roles.get(name)?.isPrivileged, `${name} has more rights than a tenant`);
  }
  const login = roles.get(role);
  wrong(login && !login.mayLogIn, `${role} may not log in`);
  wrong(login && login.connectionLimit !== limit, `${role} has not the connection limit ${limit}`);
  wrong(roles.get(ownerRole)?.mayLogIn, `${ownerRole} may log in`);
  return drifts;
}

/** An orphan, with the database that can be put into quarantine. */
export type CatalogueOrphan = Omit<Orphan, 'quarantine'> & { database?: string };

/**
 * What belongs to no instance of `known`, which are those placed on this server. Pure. Half-made databases are the
 * sweep's, and what is in quarantine is known to be nobody's; the roles of both are left alone with them.
 */
export function databaseOrphansOf(found: Catalogue, known: ReadonlySet<string>): readonly CatalogueOrphan[] {
  const idsWithDatabase = new Set([...found.databases.keys()].map(idOf));
  const databases = [...found.databases.values()].filter(
    ({ name }) => /^(odoo|tombstone)_/.test(name) && !known.has(idOf(name)),
  );
  const roles = [...found.roles.keys()].filter((name) => !known.has(idOf(name)) && !idsWithDatabase.has(idOf(name)));
  return [
    ...databases.map(({ name, isOurs, owner }): CatalogueOrphan => {
      const detail = isOurs
        ? 'no record knows its instance'
        : `no record knows its instance; it belongs to role ${owner}`;
      const orphan = { kind: 'orphan-database', name: `database ${name}`, instanceId: idOf(name), detail } as const;
      return isOurs ? { ...orphan, database: name } : orphan;
    }),
    ...roles.map(
      (name): CatalogueOrphan => ({
        kind: 'orphan-role',
        name: `role ${name}`,
        instanceId: idOf(name),
        detail: 'no record knows its instance, and it has no database',
      }),
    ),
  ];
}

/** Every name of the survey has the instance's id as its second part. */
function idOf(name: string): string {
  return name.split('_')[1] ?? '';
}
