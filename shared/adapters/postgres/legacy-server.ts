import type { Queryable } from './database.ts';

/** Key in the Secret's place under which the older platform's admin password is known. */
export const legacySecretKey = 'legacy';

/**
 * Writes the one server of the older platform's settings (ODOO_POSTGRES_*) into the records, if they hold no server for
 * instances. True when it was written. It is placeable once it was reached, like any other.
 */
export async function adoptLegacyServer(
  queryable: Queryable,
  legacy: { host: string; port: number; user: string },
): Promise<boolean> {
  const { rowCount } = await queryable.query(
    `insert into db_servers (id, host, port, admin_user, secret_key, ssl_mode)
     select 'legacy', $1, $2, $3, $4, 'disable' where not exists (select 1 from db_servers where purpose = 'tenants')
     on conflict (id) do nothing`,
    [legacy.host, legacy.port, legacy.user, legacySecretKey],
  );
  return rowCount > 0;
}
