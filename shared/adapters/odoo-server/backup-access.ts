import type { ClientBase } from 'pg';
import type { BackupAccess } from '#shared/domain/backup/job-ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { findPlaces, refuseBoth } from './databases.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { droppingRoles } from './free-roles.ts';
import { tenantNames } from './object-names.ts';
import { closePassingRole, endSessionsOf, openPassingRole, roleExists } from './passing-roles.ts';
import { quoteIdentifier } from './quote.ts';
import { scramVerifier } from './scram.ts';
import type { ServerAccess } from './server-access.ts';
import { batch } from './transaction.ts';

/** pg_dump's, the one that holds the snapshot, and two that count. */
const connections = 4;

/** The port on one server per call; `reach` gives a server that is prepared. */
export function backupAccess(reach: (server: DatabaseServer) => Promise<ServerAccess>): BackupAccess {
  return {
    open: async (server, fenced, options) => open(await reach(server), fenced, options),
    isClosed: async (server, instanceId) => isClosed(await reach(server), instanceId),
    close: async (server, fenced) => close(await reach(server), fenced),
  };
}

async function open(
  access: ServerAccess,
  fenced: Fenced,
  { password, validSeconds }: { password: string; validSeconds: number },
): Promise<{ user: string; database: string }> {
  const { role, backupRole } = tenantNames(fenced.instanceId);
  const verifier = await scramVerifier(password);
  return await withFence(access, fenced, { doing: 'open the database to its backup' }, async (client) => {
    const { live, aside } = refuseBoth(await findPlaces(client, fenced.instanceId));
    const found = live ?? aside;
    if (found === undefined) throw new Failure('not-found', `Instance ${fenced.instanceId} has no database to back up`);
    await openPassingRole(client, backupRole, { verifier, connectionLimit: connections, validSeconds });
    await batch(client, [
      // what the tenant owns it may read as its owner does, CONNECT included
      await membership(client, { of: role, to: backupRole }),
      `ALTER ROLE ${quoteIdentifier(backupRole)} SET default_transaction_read_only = on`,
    ]);
    if (aside !== undefined && !aside.allowsConnections) {
      // its tenant may not log in, and nobody else has CONNECT
      await client.query(`ALTER DATABASE ${quoteIdentifier(aside.name)} WITH ALLOW_CONNECTIONS true`);
    }
    return { user: backupRole, database: found.name };
  });
}

/** From 16 on a membership says itself what it brings: here what the role has, and not to become it. */
async function membership(client: ClientBase, { of, to }: { of: string; to: string }): Promise<string> {
  const { rows } = await client.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::int AS version",
  );
  const options = (rows[0]?.version ?? 0) >= 160_000 ? ' WITH INHERIT TRUE, SET FALSE' : '';
  return `GRANT ${quoteIdentifier(of)} TO ${quoteIdentifier(to)}${options}`;
}

async function isClosed(access: ServerAccess, instanceId: string): Promise<boolean> {
  const { backupRole } = tenantNames(instanceId);
  return await access.control('look whether the database is closed to its backup', async (client) => {
    const { aside } = await findPlaces(client, instanceId);
    return !(await roleExists(client, backupRole)) && !aside?.allowsConnections;
  });
}

/** The login goes first, in a transaction of its own: what is ended after it cannot come back. */
async function close(access: ServerAccess, fenced: Fenced): Promise<void> {
  const { backupRole } = tenantNames(fenced.instanceId);
  await withFence(access, fenced, { doing: 'close the database to its backup' }, async (client) => {
    await closePassingRole(client, backupRole);
    const { aside } = await findPlaces(client, fenced.instanceId);
    if (!aside?.allowsConnections) return;
    await client.query(`ALTER DATABASE ${quoteIdentifier(aside.name)} WITH ALLOW_CONNECTIONS false`);
  });
  await endSessionsOf(access, backupRole);
  // it owns nothing, and has no database of its own
  const freed = { roles: [backupRole], own: backupRole, applicationName: fencedApplicationName(fenced) };
  await droppingRoles(access, freed, () =>
    withFence(access, fenced, { doing: 'drop the role of the backup' }, async (client) => {
      await client.query(`DROP ROLE IF EXISTS ${quoteIdentifier(backupRole)}`);
    }),
  );
}
