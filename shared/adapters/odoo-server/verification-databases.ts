import type { PoolClient } from 'pg';
import type { LeftVerification, VerificationDatabases } from '#shared/domain/backup/job-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { renameClosed } from './aside.ts';
import { createDatabase, dropDatabases, findDatabase } from './databases.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { checkVerificationName, trashName } from './object-names.ts';
import { closeToPublic } from './ownership.ts';
import { closePassingRole, endSessionsOf, openPassingRole, roleExists } from './passing-roles.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { scramVerifier } from './scram.ts';
import type { ServerAccess } from './server-access.ts';
import { batch, inTransaction } from './transaction.ts';

/** pg_restore's jobs, and one that counts. */
const connections = 4;

/** The mark of a verification's database: whose it is. Only its owner and the admin can set it. */
const markPattern = /^fleet: verification of operation ([0-9a-f-]{36})$/;
const markOf = (operationId: string) => `fleet: verification of operation ${operationId}`;

/** The port on one server per call; `reach` gives a server that is prepared. */
export function verificationDatabases(reach: (server: DatabaseServer) => Promise<ServerAccess>): VerificationDatabases {
  return {
    create: async (server, fenced, options) => create(await reach(server), fenced, options),
    isThere: async (server, name) => isThere(await reach(server), name),
    drop: async (server, fenced, name) => drop(await reach(server), checkVerificationName(name), inFence(fenced)),
    list: async (server) => list(await reach(server)),
    sweep: async (server, name) => drop(await reach(server), checkVerificationName(name), inNoFence),
  };
}

/** How a change is made: under the fence of an operation, or in a transaction only. */
type Within = {
  applicationName: string;
  change(access: ServerAccess, doing: string, work: (client: PoolClient) => Promise<void>): Promise<void>;
};

const inFence = (fenced: Fenced): Within => ({
  applicationName: fencedApplicationName(fenced),
  change: (access, doing, work) => withFence(access, fenced, { doing }, work),
});

const inNoFence: Within = {
  applicationName: 'fleet-sweep',
  change: (access, doing, work) =>
    access.control(doing, (client) => inTransaction(client, { applicationName: 'fleet-sweep' }, () => work(client))),
};

/**
 * CREATE under a name that nobody else uses, then a fenced RENAME: a holder that stood still in between names nothing.
 * What a killed one leaves is called `making_…`, which the next holder and the sweep drop.
 */
async function create(
  access: ServerAccess,
  fenced: Fenced,
  options: { name: string; operationId: string; password: string; validSeconds: number },
): Promise<void> {
  const name = checkVerificationName(options.name);
  const verifier = await scramVerifier(options.password);
  await drop(access, name, inFence(fenced));
  const applicationName = fencedApplicationName(fenced);
  const making = `making_${fenced.instanceId}_${fenced.fence}`;
  await dropDatabases(access, [making], { applicationName });
  await createDatabase(access, making, { applicationName });
  await withFence(access, fenced, { doing: 'name the database of a verification' }, async (client) => {
    await openPassingRole(client, name, { verifier, connectionLimit: connections, validSeconds: options.validSeconds });
    await batch(client, [
      ...closeToPublic(making),
      `COMMENT ON DATABASE ${quoteIdentifier(making)} IS ${quoteLiteral(markOf(options.operationId))}`,
      `ALTER DATABASE ${quoteIdentifier(making)} RENAME TO ${quoteIdentifier(name)}`,
      `ALTER DATABASE ${quoteIdentifier(name)} OWNER TO ${quoteIdentifier(name)}`,
    ]);
  });
}

async function isThere(access: ServerAccess, name: string): Promise<boolean> {
  return await access.control('look for the database of a verification', async (client) => {
    const found = await findDatabase(client, checkVerificationName(name));
    return found !== undefined || (await roleExists(client, name));
  });
}

async function drop(access: ServerAccess, name: string, within: Within): Promise<void> {
  await within.change(access, 'close the database of a verification', (client) => closePassingRole(client, name));
  await endSessionsOf(access, name);
  const trash = trashName(name, Date.now().toString(36));
  await within.change(access, 'move the database of a verification aside', async (client) => {
    const found = await findDatabase(client, name);
    if (found === undefined) return;
    if (!found.isOurs) throw new Failure('foreign-object', `Database ${name} belongs to role ${found.owner}`);
    await renameClosed(client, name, trash);
  });
  await dropDatabases(access, await trashOf(access, name), { applicationName: within.applicationName });
  await within.change(access, 'drop the role of a verification', async (client) => {
    await client.query(`DROP ROLE IF EXISTS ${quoteIdentifier(name)}`);
  });
}

async function trashOf(access: ServerAccess, name: string): Promise<string[]> {
  const { rows } = await access.control('look for leftovers', (client) =>
    client.query<{ name: string }>(
      `SELECT datname::text AS name FROM pg_database
       WHERE starts_with(datname::text, $1) AND pg_has_role(current_user, datdba, 'USAGE')`,
      [trashName(name, '')],
    ),
  );
  return rows.map((row) => row.name);
}

async function list(access: ServerAccess): Promise<readonly LeftVerification[]> {
  const { rows } = await access.control('list the databases of verifications', (client) =>
    client.query<{ database: string; mark: string | null }>(
      `SELECT datname::text AS database, shobj_description(oid, 'pg_database') AS mark FROM pg_database
       WHERE datname ~ '^verify_[0-9a-f]{8}_[0-9]{1,9}$' AND pg_has_role(current_user, datdba, 'USAGE') ORDER BY 1`,
    ),
  );
  return rows.map(({ database, mark }) => ({ database, operationId: markPattern.exec(mark ?? '')?.[1] ?? null }));
}
