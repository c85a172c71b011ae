import type { Survey } from '#shared/domain/drift/ports.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type CatalogueDatabase, type CatalogueRole, databaseDriftOf, databaseOrphansOf } from './catalogue-drift.ts';
import { type DatabaseRow, databaseColumns } from './databases.ts';
import { quarantine } from './quarantine.ts';
import type { ServerAccess } from './server-access.ts';
import { inTransaction } from './transaction.ts';

/** When no further database is measured; those left have no size in this survey. */
const sizeBudgetMs = 2_000;
/** When the measuring is given up that hangs in one of them. */
const sizeTimeoutMs = 8_000;

/**
 * Everything of a shard's instances on one server, in three queries whatever their number. It reads shared catalogues
 * only, so nothing of a tenant's is run. A shard is the first character of an instance's id.
 *
 * Records must be read after it: an instance has its row before it has anything here.
 */
export async function surveyServer(access: ServerAccess, shard: string): Promise<Survey> {
  if (!/^[a-z2-7]$/.test(shard)) throw new Failure('invalid-request', 'A shard is one character of base32');
  const found = await access.control('survey the databases', async (client) => {
    const databases = await client.query<DatabaseRow>(`SELECT ${databaseColumns} FROM pg_database WHERE datname ~ $1`, [
      `^(odoo|tombstone|making|quarantine)_${shard}[a-z2-7]{11}(_[0-9]+)?$`,
    ]);
    const roles = await client.query<CatalogueRole>(
      `SELECT rolname::text AS name, rolcanlogin AS "mayLogIn", rolconnlimit AS "connectionLimit",
         rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls AS "isPrivileged"
       FROM pg_roles WHERE rolname ~ $1`,
      [`^odoo_${shard}[a-z2-7]{11}(_owner|_backup)?$`],
    );
    return { databases: databases.rows, roles: roles.rows };
  });
  const sizes = await measure(access, shard);
  const databases = found.databases.map((row): CatalogueDatabase => ({ ...row, bytes: sizes.get(row.name) ?? null }));
  const names = new Map(databases.map((database) => [database.name, database]));
  const roles = new Map(found.roles.map((role) => [role.name, role]));
  return {
    driftOf: (instance) => databaseDriftOf(instance, { databases: names, roles }),
    orphans: (known) =>
      databaseOrphansOf({ databases: names, roles }, known).map(({ database, ...orphan }) => ({
        ...orphan,
        ...(database !== undefined && { quarantine: () => quarantine(access, database) }),
      })),
  };
}

/**
 * Bytes of the live databases by name. The server asks its file system for every file of each, about a thousand, so
 * there is a budget; at random, so that in time each has its turn. Without sizes the rest of the survey is still good.
 */
async function measure(access: ServerAccess, shard: string): Promise<ReadonlyMap<string, number>> {
  const query = `SELECT name, CASE WHEN clock_timestamp() < statement_timestamp() + interval '${sizeBudgetMs} ms'
      THEN CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid)::float8 END END AS bytes
    FROM (SELECT oid, datname::text AS name FROM pg_database
          WHERE datname ~ '^odoo_${shard}[a-z2-7]{11}$' ORDER BY random()) AS live`;
  try {
    const limit = `SET LOCAL statement_timeout = ${sizeTimeoutMs}`;
    const { rows } = await access.control('measure the databases', (client) =>
      inTransaction(client, { applicationName: 'fleet-survey', first: [limit] }, () =>
        client.query<{ name: string; bytes: number | null }>(query),
      ),
    );
    return new Map(rows.flatMap(({ name, bytes }) => (bytes === null ? [] : [[name, bytes] as const])));
  } catch (error) {
    // too slow, or dropped while it was measured
    if (error instanceof Failure && ['timeout', 'not-found'].includes(error.code)) return new Map();
    throw error;
  }
}
