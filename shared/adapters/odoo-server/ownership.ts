import type { ClientBase } from 'pg';
import { findTenantDatabase } from './databases.ts';
import { personalisedMark, tenantNames } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';

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
    `GRANT CONNECT, TEMPORARY ON DATABASE ${quoteIdentifier(database)} TO ${quoteIdentifier(to.role)}`,
    `ALTER DATABASE ${quoteIdentifier(database)} OWNER TO ${quoteIdentifier(to.ownerRole)}`,
  ];
}

/** Is the database there, marked by a completed `personalise` for this instance, rightly owned and closed to PUBLIC? */
export async function isTenantsOwn(client: ClientBase, instanceId: string): Promise<boolean> {
  const found = await findTenantDatabase(client, instanceId);
  return (
    found !== undefined &&
    found.mark === personalisedMark(instanceId) &&
    found.owner === tenantNames(instanceId).ownerRole &&
    !found.publicMayConnect
  );
}
