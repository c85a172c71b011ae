import type { LeftVerification, VerificationDatabases } from '#shared/domain/backup/job-ports.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { checkVerificationName } from './object-names.ts';
import { createPassing, dropPassing, inFence, inNoFence, isPassingThere } from './passing-databases.ts';
import type { ServerAccess } from './server-access.ts';

/** The mark of a verification's database, for people: its owner can change it, and what a dump holds is run as the owner. */
const markOf = (operationId: string) => `fleet: verification of operation ${operationId}`;

/** The port on one server per call; `reach` gives a server that is prepared. */
export function verificationDatabases(reach: (server: DatabaseServer) => Promise<ServerAccess>): VerificationDatabases {
  return {
    async create(server, fenced, { operationId, ...options }) {
      checkVerificationName(options.name);
      await createPassing(await reach(server), fenced, { ...options, mark: markOf(operationId) });
    },
    isThere: async (server, name) => isPassingThere(await reach(server), checkVerificationName(name)),
    drop: async (server, fenced, name) =>
      dropPassing(await reach(server), checkVerificationName(name), inFence(fenced)),
    list: async (server) => list(await reach(server)),
    sweep: async (server, name) => dropPassing(await reach(server), checkVerificationName(name), inNoFence),
  };
}

async function list(access: ServerAccess): Promise<readonly LeftVerification[]> {
  const { rows } = await access.control('list the databases of verifications', (client) =>
    client.query<{ database: string }>(
      `SELECT datname::text AS database FROM pg_database
       WHERE datname ~ '^verify_[0-9a-f]{8}_[0-9]{1,9}$' AND pg_has_role(current_user, datdba, 'USAGE') ORDER BY 1`,
    ),
  );
  return rows.map(({ database }) => ({ database, operation: database.split('_')[1] ?? '' }));
}
