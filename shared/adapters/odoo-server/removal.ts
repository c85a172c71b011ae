import type { PoolClient } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { dropDatabases, findDatabase, findPlaces, listDatabases } from './databases.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { tenantNames, tombstoneName, trashName } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { batch } from './transaction.ts';

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
  const trash = trashName(fenced.instanceId, `${fenced.fence}_${Date.now().toString(36)}`);
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
  });
  await dropLeftovers(access, fenced);
  await dropRoles(access, fenced);
}

async function refuseLive(client: PoolClient, instanceId: string): Promise<void> {
  const { database } = tenantNames(instanceId);
  if ((await findDatabase(client, database)) === undefined) return;
  throw new Failure('not-allowed', `Database ${database} is there under its own name; it must be set aside first`);
}

/** Databases in which PUBLIC, and so every tenant, may make something that keeps his role from being dropped. */
const commonDatabases = ['postgres', 'template1'];

async function dropRoles(access: ServerAccess, fenced: Fenced): Promise<void> {
  const { role, ownerRole, backupRole } = tenantNames(fenced.instanceId);
  const statements = [backupRole, role, ownerRole].map((name) => `DROP ROLE IF EXISTS ${quoteIdentifier(name)}`);
  const drop = () =>
    withFence(access, fenced, { doing: 'drop the roles' }, async (client) => {
      await refuseLive(client, fenced.instanceId);
      await batch(client, statements);
    });
  try {
    await drop();
  } catch (error) {
    if (!(error instanceof Failure) || error.facts['sqlState'] !== '2BP01') throw error;
    await dropOwned(access, fenced, role);
    await drop();
  }
}

/** A large object or a default privilege in a database that all share; the tenant needs no right there to make one. */
async function dropOwned(access: ServerAccess, fenced: Fenced, role: string): Promise<void> {
  const applicationName = fencedApplicationName(fenced);
  const { rows } = await access.control('look for what the role owns elsewhere', (client) =>
    client.query<{ name: string }>(
      `SELECT DISTINCT d.datname::text AS name FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
       WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)
         AND d.datname = ANY ($2)`,
      [role, commonDatabases],
    ),
  );
  for (const { name } of rows) {
    await access.unpooled('drop what the role owns elsewhere', { database: name, applicationName }, (client) =>
      client.query(`DROP OWNED BY ${quoteIdentifier(role)}`),
    );
  }
}
