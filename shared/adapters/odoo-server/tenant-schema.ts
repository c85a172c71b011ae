import type { ClientBase } from 'pg';

/** Both are trusted since PostgreSQL 13: the owner of a database may create them without being superuser. */
const extensions = ['pg_trgm', 'unaccent'];

/** Creates those of Odoo's optional extensions that the server has. The current role must own the database. */
export async function createExtensions(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT name::text FROM pg_available_extension_versions
     WHERE name = ANY ($1) AND trusted AND name NOT IN (SELECT extname FROM pg_extension)`,
    [extensions],
  );
  for (const { name } of rows) {
    if (extensions.includes(name)) await client.query(`CREATE EXTENSION IF NOT EXISTS ${name} SCHEMA public`);
  }
}

/** What a database holds, as far as it can be told without running anything that a tenant may have put there. */
export type Inside = {
  /** Odoo's `base` is installed. */
  isInitialised: boolean;
  /** Tables, views and sequences in schema public that belong to no extension. */
  relations: number;
};

/**
 * A view, a row security policy or a type of the tenant's own would run his functions with the admin's rights. So a
 * table is read only if it is plain: an ordinary table, without policies, children or types that are not built in.
 */
export async function lookInside(client: ClientBase): Promise<Inside> {
  const { rows } = await client.query<{ relations: number; canRead: boolean }>(
    `SELECT (SELECT count(*)::int FROM pg_class c
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
               AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')) AS relations,
       ${isPlainTable('public.ir_module_module')} AS "canRead"`,
  );
  const { relations, canRead } = rows[0] ?? { relations: 0, canRead: false };
  if (!canRead) return { isInitialised: false, relations };
  // `to upgrade`: an upgrade of base is under way in an initialised database
  const base = await client.query(
    "SELECT FROM ONLY public.ir_module_module WHERE name = 'base' AND state IN ('installed', 'to upgrade')",
  );
  return { isInitialised: base.rowCount === 1, relations };
}

/** Has anybody logged in? Odoo notes every login. A table that is no longer plain was changed by somebody: that is use. */
export async function hasLogins(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ isThere: boolean; canRead: boolean }>(
    `SELECT to_regclass('public.res_users_log') IS NOT NULL AS "isThere", ${isPlainTable('public.res_users_log')} AS "canRead"`,
  );
  if (rows[0]?.isThere !== true) return false;
  if (!rows[0].canRead) return true;
  return (await client.query('SELECT FROM ONLY public.res_users_log LIMIT 1')).rowCount === 1;
}

/** SQL that tells whether the table exists and can be used by the admin without running anybody's code. */
export function isPlainTable(table: string): string {
  return `EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('${table}') AND relkind = 'r'
    AND NOT relrowsecurity AND NOT relhasrules
    AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal)
    AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
                    AND atttypid >= 16384))`;
}
