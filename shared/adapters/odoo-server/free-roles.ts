import { asFailure, Failure, failureCodes } from '#shared/domain/failure.ts';
import { controlDatabase } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';
import { resetPassing } from './reset-passing.ts';
import type { ServerAccess } from './server-access.ts';

/** PostgreSQL drops no role that something depends on, in whichever database: `dependent_objects_still_exist`. */
const stillNeeded = '2BP01';

export type FreedRoles = {
  roles: readonly string[];
  /** What the names of their own databases have in them: what is in those is theirs, and stays. */
  own: string;
  applicationName: string;
};

/**
 * Does `drop`, which drops the roles; where something in databases of others keeps them, that is taken away first. Roles
 * can be seen by everybody on a server: any tenant can give one of them rights on his own tables, and where PUBLIC may
 * connect the role itself may have made something.
 * @throws Failure `conflict` when that is in a closed database that nobody knows.
 */
export async function droppingRoles(access: ServerAccess, freed: FreedRoles, drop: () => Promise<void>): Promise<void> {
  try {
    await drop();
  } catch (error) {
    if (!(error instanceof Failure) || error.facts['sqlState'] !== stillNeeded) throw error;
    await freeRoles(access, freed);
    await drop();
  }
}

type Found = { database: string; isOpen: boolean; roles: string[] };

async function freeRoles(access: ServerAccess, { roles, own, applicationName }: FreedRoles): Promise<void> {
  const { rows } = await access.control('look for what keeps the roles', (client) =>
    client.query<Found>(
      // what is in no database is a right on a whole one, which DROP OWNED takes away from anywhere
      `SELECT coalesce(d.datname::text, $3) AS database, coalesce(d.datallowconn, true) AS "isOpen",
         array_agg(DISTINCT r.rolname::text) AS roles
       FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.refobjid
       WHERE s.refclassid = 'pg_authid'::regclass AND r.rolname = ANY ($1)
         AND (strpos(d.datname, $2) = 0 OR (s.dbid = 0 AND s.deptype = 'a'))
       GROUP BY 1, 2 ORDER BY 1`,
      [roles, own, controlDatabase],
    ),
  );
  for (const found of rows) await freeIn(access, found, applicationName);
}

/** @throws Failure `conflict` when the other tenant's database went, was renamed or closed meanwhile: look again. */
async function freeIn(
  access: ServerAccess,
  { database, isOpen, roles }: Found,
  applicationName: string,
): Promise<void> {
  try {
    if (!isOpen) await open(access, database);
    await access.unpooled('take the roles out of a database', { database, applicationName }, (client) =>
      client.query(`DROP OWNED BY ${roles.map(quoteIdentifier).join(', ')}`),
    );
    if (!isOpen) await close(access, database);
  } catch (error) {
    const { code, message } = asFailure(error);
    if (failureCodes[code] !== 'permanent') throw error;
    throw new Failure('conflict', `Roles are still needed in database ${database}: ${message}`, { cause: error });
  }
}

/**
 * For us alone, and for a moment: of a tombstone the tenant may not log in, and of a side that a restore took out he is given
 * the right to connect again when it goes back. A kill in between leaves it open to nobody else; it is closed whenever it is
 * renamed, and dropped open as well as closed.
 */
async function open(access: ServerAccess, database: string): Promise<void> {
  await access.control('open a database', async (client) => {
    if (database.startsWith('old_')) return await resetPassing(client, database);
    if (!database.startsWith('tombstone_')) {
      const text = `In database ${database}, which is closed, roles are needed that are to be dropped: look what it is.`;
      throw new Failure('conflict', text);
    }
    await client.query(`ALTER DATABASE ${quoteIdentifier(database)} WITH ALLOW_CONNECTIONS true`);
  });
}

async function close(access: ServerAccess, database: string): Promise<void> {
  await access.control('close a database', (client) =>
    client.query(`ALTER DATABASE ${quoteIdentifier(database)} WITH ALLOW_CONNECTIONS false`),
  );
}
