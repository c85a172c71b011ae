import type { PoolClient } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { renameClosed } from './aside.ts';
import { createDatabase, dropDatabases, findDatabase, listDatabases } from './databases.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { droppingRoles } from './free-roles.ts';
import { makingName, trashName } from './object-names.ts';
import { closeToPublic } from './ownership.ts';
import { closePassingRole, endSessionsOf, openPassingRole, roleExists } from './passing-roles.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { resetPassing } from './reset-passing.ts';
import { scramVerifier } from './scram.ts';
import type { ServerAccess } from './server-access.ts';
import { batch, inTransaction } from './transaction.ts';

// A database that one Job fills, owned by a role of the same name that only this Job logs in with.

/** pg_restore's jobs, and one that counts. */
const connections = 4;

/** How a change is made: under the fence of an operation, or in a transaction only. */
export type Within = {
  applicationName: string;
  change(access: ServerAccess, doing: string, work: (client: PoolClient) => Promise<void>): Promise<void>;
};

export const inFence = (fenced: Fenced): Within => ({
  applicationName: fencedApplicationName(fenced),
  change: (access, doing, work) => withFence(access, fenced, { doing }, work),
});

export const inNoFence: Within = {
  applicationName: 'fleet-sweep',
  change: (access, doing, work) =>
    access.control(doing, (client) => inTransaction(client, { applicationName: 'fleet-sweep' }, () => work(client))),
};

/**
 * CREATE under a name that nobody else uses, then a fenced RENAME: a holder that stood still in between names nothing.
 * What a killed one leaves is called `making_…`, which the next holder and the sweep drop.
 * @param options.mark the database's comment, which says whose it is.
 */
export async function createPassing(
  access: ServerAccess,
  fenced: Fenced,
  options: { name: string; mark: string; password: string; validSeconds: number },
): Promise<void> {
  const { name, validSeconds } = options;
  const verifier = await scramVerifier(options.password);
  await dropPassing(access, name, inFence(fenced));
  const applicationName = fencedApplicationName(fenced);
  const making = makingName(fenced.instanceId, fenced.fence);
  await dropDatabases(access, [making], { applicationName });
  await createDatabase(access, making, { applicationName });
  await withFence(access, fenced, { doing: 'name the database of a Job' }, async (client) => {
    await openPassingRole(client, name, { verifier, connectionLimit: connections, validSeconds });
    await batch(client, [
      ...closeToPublic(making),
      `COMMENT ON DATABASE ${quoteIdentifier(making)} IS ${quoteLiteral(options.mark)}`,
      `ALTER DATABASE ${quoteIdentifier(making)} RENAME TO ${quoteIdentifier(name)}`,
      `ALTER DATABASE ${quoteIdentifier(name)} OWNER TO ${quoteIdentifier(name)}`,
    ]);
  });
}

/** The database or its role. */
export async function isPassingThere(access: ServerAccess, name: string): Promise<boolean> {
  return await access.control('look for the database of a Job', async (client) => {
    return (await findDatabase(client, name)) !== undefined || (await roleExists(client, name));
  });
}

/** Ends the sessions in it, drops it and its role. Repeatable. */
export async function dropPassing(access: ServerAccess, name: string, within: Within): Promise<void> {
  await within.change(access, 'close the database of a Job', (client) => closePassingRole(client, name));
  await endSessionsOf(access, name);
  await dropByTrash(access, name, within);
  await droppingRoles(access, { roles: [name], own: name, applicationName: within.applicationName }, () =>
    within.change(access, 'drop the role of a Job', async (client) => {
      await client.query(`DROP ROLE IF EXISTS ${quoteIdentifier(name)}`);
    }),
  );
}

/** By way of a name that may be dropped. Repeatable. @throws Failure `foreign-object` when it is not ours. */
export async function dropByTrash(access: ServerAccess, name: string, within: Within): Promise<void> {
  const trash = trashName(name, Date.now().toString(36));
  await within.change(access, `move database ${name} aside`, async (client) => {
    const found = await findDatabase(client, name);
    if (found === undefined) return;
    if (!found.isOurs) throw new Failure('foreign-object', `Database ${name} belongs to role ${found.owner}`);
    await resetPassing(client, name);
    await renameClosed(client, name, trash);
  });
  const garbage = await access.control('look for leftovers', (client) => listDatabases(client, trashName(name, '')));
  await dropDatabases(access, garbage, { applicationName: within.applicationName });
}
