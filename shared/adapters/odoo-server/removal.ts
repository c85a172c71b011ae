import { createHash } from 'node:crypto';
import type { PoolClient } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { dropDatabases, findDatabase, findPlaces, listDatabases } from './databases.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { droppingRoles } from './free-roles.ts';
import { tenantNames, tombstoneName, trashName } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { batch } from './transaction.ts';

const shortHash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 6);

/** Drops what this instance's older holders, or this one before, left half-made or thrown away. */
export async function dropLeftovers(access: ServerAccess, fenced: Fenced): Promise<void> {
  const leftovers = await withFence(access, fenced, { doing: 'look for leftovers' }, async (client) => [
    ...(await listDatabases(client, `making_${fenced.instanceId}_`)),
    ...(await listDatabases(client, `trash_${fenced.instanceId}_`)),
  ]);
  const isNewer = (name: string) => name.startsWith('making_') && Number(name.split('_').at(-1)) > fenced.fence;
  await dropDatabases(
    access,
    leftovers.filter((name) => !isNewer(name)),
    { applicationName: fencedApplicationName(fenced) },
  );
}

export async function moveToTrash(client: PoolClient, database: string, fenced: Fenced): Promise<void> {
  // the name it had makes it one of its own: several are moved in one moment
  const trash = trashName(fenced.instanceId, `${fenced.fence}_${Date.now().toString(36)}_${shortHash(database)}`);
  await batch(client, [
    `ALTER DATABASE ${quoteIdentifier(database)} RENAME TO ${quoteIdentifier(trash)}`,
    `ALTER DATABASE ${quoteIdentifier(trash)} WITH ALLOW_CONNECTIONS false`,
  ]);
}

/**
 * The undoing of a provision: what was made goes.
 * @throws Failure `not-allowed` when there is a tombstone: that is somebody's data, and `purge` is for it.
 */
export async function remove(access: ServerAccess, fenced: Fenced): Promise<void> {
  await withFence(access, fenced, { doing: 'move the database aside' }, async (client) => {
    const { live, aside } = await findPlaces(client, fenced.instanceId);
    if (aside !== undefined) throw new Failure('not-allowed', `${aside.name} holds data that only a purge may drop`);
    if (live !== undefined) await moveToTrash(client, live.name, fenced);
  });
  await dropLeftovers(access, fenced);
  await dropRoles(access, fenced);
}

/**
 * The end of a terminated instance's data: the tombstone, by way of a name that may be dropped, then the roles.
 * @throws Failure `not-allowed` when a database is there under the live name, whoever owns it.
 */
export async function purge(access: ServerAccess, fenced: Fenced): Promise<void> {
  await withFence(access, fenced, { doing: 'move the tombstone aside' }, async (client) => {
    await refuseLive(client, fenced.instanceId);
    const { aside } = await findPlaces(client, fenced.instanceId);
    if (aside !== undefined) await moveToTrash(client, tombstoneName(fenced.instanceId), fenced);
    for (const name of await besideOf(client, fenced.instanceId)) await moveToTrash(client, name, fenced);
  });
  await dropLeftovers(access, fenced);
  await dropRoles(access, fenced);
}

/** What restores took out and still is kept, and what loads have left. */
async function besideOf(client: PoolClient, instanceId: string): Promise<string[]> {
  return [
    ...(await listDatabases(client, `old_${instanceId}_`)),
    ...(await listDatabases(client, `load_${instanceId}_`)),
  ];
}

async function refuseLive(client: PoolClient, instanceId: string): Promise<void> {
  const { database } = tenantNames(instanceId);
  if ((await findDatabase(client, database)) === undefined) return;
  throw new Failure('not-allowed', `Database ${database} is there under its own name; it must be set aside first`);
}

async function dropRoles(access: ServerAccess, fenced: Fenced): Promise<void> {
  const { role, ownerRole, backupRole } = tenantNames(fenced.instanceId);
  const ofLoads = await access.control('look for roles of loads', (client) => loadRolesOf(client, fenced.instanceId));
  const roles = [...ofLoads, backupRole, role, ownerRole];
  const freed = { roles, own: fenced.instanceId, applicationName: fencedApplicationName(fenced) };
  await droppingRoles(access, freed, () =>
    withFence(access, fenced, { doing: 'drop the roles' }, async (client) => {
      await refuseLive(client, fenced.instanceId);
      await batch(
        client,
        roles.map((name) => `DROP ROLE IF EXISTS ${quoteIdentifier(name)}`),
      );
    }),
  );
}

/** Those of loads that nobody has ended. */
async function loadRolesOf(client: PoolClient, instanceId: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT rolname::text AS name FROM pg_roles WHERE starts_with(rolname::text, $1)',
    [`load_${instanceId}_`],
  );
  return rows.map(({ name }) => name);
}
