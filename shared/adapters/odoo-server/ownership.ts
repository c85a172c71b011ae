import type { ClientBase } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { Fenced } from '#shared/domain/instance/ports.ts';
import { type DatabaseRow, findPlaces, findTenantDatabase, refuseBoth } from './databases.ts';
import { fencedApplicationName, withFence } from './fence.ts';
import { personalisedMark, tenantNames } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';
import type { ServerAccess } from './server-access.ts';
import { batch, commit } from './transaction.ts';

/** CREATE DATABASE gives PUBLIC the right to connect and to make temporary tables, also to a clone of a closed one. */
export function closeToPublic(database: string): string[] {
  return [`REVOKE ALL ON DATABASE ${quoteIdentifier(database)} FROM PUBLIC`];
}

/**
 * The owner is a role that cannot log in, so that the tenant cannot drop, rename or open the database. TEMPORARY:
 * Odoo's accounting makes temporary tables. Nothing is granted on database `postgres`, where Odoo's bus and cron
 * LISTEN: PUBLIC may connect there, and an operator who revokes that must grant it to the tenants' roles.
 */
export function openToTenant(database: string, to: { role: string; ownerRole: string }): string[] {
  return [
    // first: a database that the tenant's role owns gives what is granted to that role to the new owner
    `ALTER DATABASE ${quoteIdentifier(database)} OWNER TO ${quoteIdentifier(to.ownerRole)}`,
    `GRANT CONNECT, TEMPORARY ON DATABASE ${quoteIdentifier(database)} TO ${quoteIdentifier(to.role)}`,
  ];
}

/**
 * Is the database there, marked by a completed `personalise` for this instance, rightly owned, open to its tenant and
 * closed to PUBLIC?
 */
export async function isTenantsOwn(client: ClientBase, instanceId: string): Promise<boolean> {
  const found = await findTenantDatabase(client, instanceId);
  return found?.mark === personalisedMark(instanceId) && isRightlyOwned(found, instanceId);
}

function isRightlyOwned(found: DatabaseRow, instanceId: string): boolean {
  return (
    found.owner === tenantNames(instanceId).ownerRole &&
    found.allowsConnections &&
    found.namesakeMayConnect &&
    !found.publicMayConnect
  );
}

/**
 * Puts right owner and grants of the database under the live name, and gives the tenant what is in it. Needs the roles.
 * @throws Failure `not-found` when it is not there, `foreign-object` when its owner is one the admin may not act as.
 */
export async function repairOwnership(access: ServerAccess, fenced: Fenced): Promise<void> {
  const { database } = tenantNames(fenced.instanceId);
  await withFence(access, fenced, { doing: 'repair the ownership of the database' }, async (client) => {
    const { live } = refuseBoth(await findPlaces(client, fenced.instanceId));
    if (live === undefined) throw new Failure('not-found', `There is no database ${database}`);
    // first: what is looked at to see whether this was done is written last
    await giveToTenant(access, fenced, client);
    await grantOwnership(client, fenced.instanceId);
  });
}

/**
 * PostgreSQL drops no role that owns something: somebody who dropped the tenant's has given its tables away, and to the
 * owner role they can be told from anything else. What went to others is theirs to give back.
 */
async function giveToTenant(access: ServerAccess, fenced: Fenced, control: ClientBase): Promise<void> {
  const { database, role, ownerRole } = tenantNames(fenced.instanceId);
  const { rowCount } = await control.query(
    `SELECT FROM pg_shdepend WHERE deptype = 'o' AND refclassid = 'pg_authid'::regclass
       AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)
       AND dbid = (SELECT oid FROM pg_database WHERE datname = $2 AND datallowconn) LIMIT 1`,
    [ownerRole, database],
  );
  if (rowCount === 0) return;
  const applicationName = fencedApplicationName(fenced);
  await access.unpooled('give the tenant his tables', { database, applicationName }, async (inside) => {
    await batch(inside, [
      'BEGIN',
      `REASSIGN OWNED BY ${quoteIdentifier(ownerRole)} TO ${quoteIdentifier(role)}`,
      // the database itself went along
      ...openToTenant(database, { role, ownerRole }),
    ]);
    // as in personalise: a newer holder has either waited for this session, or ended it
    await control.query('SELECT 1');
    await commit(inside);
  });
}

/** Owner and grants in the shared catalogues; nothing inside the database. Changes nothing that is right. */
export async function grantOwnership(client: ClientBase, instanceId: string): Promise<void> {
  const { database, role, ownerRole } = tenantNames(instanceId);
  const found = await findTenantDatabase(client, instanceId);
  if (found === undefined || isRightlyOwned(found, instanceId)) return;
  await batch(client, [
    ...closeToPublic(database),
    `ALTER DATABASE ${quoteIdentifier(database)} WITH ALLOW_CONNECTIONS true`,
    ...openToTenant(database, { role, ownerRole }),
  ]);
}
