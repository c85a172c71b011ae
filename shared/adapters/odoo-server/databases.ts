import type { ClientBase } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import { saysItExists, saysItIsInUse } from './errors.ts';
import { controlDatabase, tenantNames, tombstoneName } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';
import type { ServerAccess } from './server-access.ts';

/** One row of pg_database as far as it is read. */
export type DatabaseRow = {
  name: string;
  owner: string;
  /** The admin owns it, or may act as its owner. */
  isOurs: boolean;
  allowsConnections: boolean;
  /** The comment; only the owner can set it, CREATE DATABASE … TEMPLATE does not copy it, RENAME keeps it. */
  mark: string | null;
  publicMayConnect: boolean;
  /** The role that bears the database's name may connect and make temporary tables: of a live one, the tenant. */
  namesakeMayConnect: boolean;
};

const grants = "aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE privilege_type IN ('CONNECT', 'TEMPORARY')";

/**
 * The columns of a DatabaseRow, from pg_database. Grants are read from the list itself: has_database_privilege for
 * another role, PUBLIC included, makes the server forget the memberships of the admin, of which it keeps one role's,
 * and working them out again for every row takes 45 ms with 3,000 roles on 15.
 */
export const databaseColumns = `datname::text AS name, pg_get_userbyid(datdba)::text AS owner,
  pg_has_role(current_user, datdba, 'USAGE') AS "isOurs", datallowconn AS "allowsConnections",
  shobj_description(oid, 'pg_database') AS mark,
  EXISTS (SELECT FROM ${grants} AND grantee = 0) AS "publicMayConnect",
  (SELECT count(DISTINCT privilege_type) = 2 FROM ${grants}
     AND grantee = (SELECT r.oid FROM pg_roles r WHERE r.rolname = datname)) AS "namesakeMayConnect"`;

async function findDatabases(client: ClientBase, names: readonly string[]): Promise<DatabaseRow[]> {
  const query = `SELECT ${databaseColumns} FROM pg_database WHERE datname = ANY ($1)`;
  return (await client.query<DatabaseRow>(query, [names])).rows;
}

export async function findDatabase(client: ClientBase, name: string): Promise<DatabaseRow | undefined> {
  return (await findDatabases(client, [name]))[0];
}

/**
 * The instance's database, if there is one.
 * @throws Failure `foreign-object` when one of that name belongs to somebody else.
 */
export async function findTenantDatabase(client: ClientBase, instanceId: string): Promise<DatabaseRow | undefined> {
  return ours(await findDatabase(client, tenantNames(instanceId).database));
}

function ours(found: DatabaseRow | undefined): DatabaseRow | undefined {
  if (found !== undefined && !found.isOurs) {
    throw new Failure('foreign-object', `Database ${found.name} belongs to role ${found.owner}, not to the fleet`);
  }
  return found;
}

/** Where an instance's database can be: under its own name, or set aside as a tombstone. */
export type Places = { live: DatabaseRow | undefined; aside: DatabaseRow | undefined };

/** @throws Failure `foreign-object` when one of the names belongs to somebody else. */
export async function findPlaces(client: ClientBase, instanceId: string): Promise<Places> {
  const { database } = tenantNames(instanceId);
  const aside = tombstoneName(instanceId);
  const found = await findDatabases(client, [database, aside]);
  return {
    live: ours(found.find(({ name }) => name === database)),
    aside: ours(found.find(({ name }) => name === aside)),
  };
}

/**
 * Refuses to go on while both names are taken: which of the two has the customer's data, a person must say.
 * @throws Failure `foreign-object`
 */
export function refuseBoth(places: Places): Places {
  if (places.live === undefined || places.aside === undefined) return places;
  throw new Failure(
    'foreign-object',
    `There are both ${places.live.name} and ${places.aside.name}; find out which has the data, and rename the other`,
  );
}

/**
 * Refuses to make a database under the live name while a tombstone holds the instance's data.
 * @throws Failure `not-allowed`
 */
export function refuseTombstone({ aside }: Places): void {
  if (aside === undefined) return;
  throw new Failure('not-allowed', `The instance's database is set aside as ${aside.name}; bring it back instead`);
}

/** Names of databases of ours that begin with `prefix`. */
export async function listDatabases(client: ClientBase, prefix: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT datname::text AS name FROM pg_database
     WHERE starts_with(datname::text, $1) AND pg_has_role(current_user, datdba, 'USAGE') ORDER BY 1`,
    [prefix],
  );
  return rows.map((row) => row.name);
}

export type NewDatabase = {
  /** A template, or undefined for an empty database. */
  template?: string;
  applicationName: string;
};

/**
 * CREATE DATABASE, which no transaction can hold and no fence can guard: only for names that nobody else uses.
 * @throws Failure `not-found` when the template is gone, `conflict` when it is in use or the name is taken.
 */
export async function createDatabase(access: ServerAccess, name: string, options: NewDatabase): Promise<void> {
  // For an empty one the same choice as Odoo's own: UTF8 whatever the server's default is, and the C collation, whose
  // indexes serve LIKE. A clone has its template's.
  const from =
    options.template === undefined
      ? `TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'`
      : `TEMPLATE ${quoteIdentifier(options.template)}`;
  await access.unpooled(
    `create database ${name}`,
    { database: controlDatabase, applicationName: options.applicationName },
    async (client) => {
      await client.query(`CREATE DATABASE ${quoteIdentifier(name)} ${from}`).catch((error) => {
        if (!saysItExists(error)) throw error;
        throw new Failure('conflict', `Database ${name} is being made by somebody else; look again`);
      });
    },
  );
}

/**
 * DROP DATABASE, own sessions included; no transaction can hold it and no fence can guard it, so only for names that
 * nobody needs: `trash_…`, `making_…` of an own or older holder, `filling_…` under its lock. Repeatable. One that
 * somebody else is in, such as a monitoring superuser, stays for the next sweep. Returns what was dropped.
 *
 * Not WITH (FORCE): that asks for the right to end every session, and fails with 42501 as soon as an autovacuum worker
 * is at work there. The plain form ends those by itself.
 */
export async function dropDatabases(
  access: ServerAccess,
  names: readonly string[],
  options: { applicationName: string },
): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const to = { database: controlDatabase, applicationName: options.applicationName };
  return access.unpooled('drop databases', to, async (client) => {
    const dropped: string[] = [];
    for (const name of names) if (await dropOne(client, name)) dropped.push(name);
    return dropped;
  });
}

async function dropOne(client: ClientBase, name: string): Promise<boolean> {
  if (!/^(trash|making|filling)_/.test(name)) throw new Failure('internal', `${name} must not be dropped`);
  await client.query(
    `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
     WHERE datname = $1 AND usename = current_user AND backend_type = 'client backend'`,
    [name],
  );
  try {
    await client.query(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)}`);
    return true;
  } catch (error) {
    if (!saysItIsInUse(error)) throw error;
    return false;
  }
}
