import type { ClientBase } from 'pg';
import { quoteIdentifier, quoteLiteral } from './quote.ts';

/**
 * The statement that lets the admin act as the role: own what it owns, hand things to it, take things from it.
 *
 * Up to 15, CREATEROLE may grant any role that is no superuser, and membership brings all. From 16 on, who creates a
 * role has ADMIN OPTION on it and nothing else until he grants himself the rest; INHERIT is needed to rename or drop
 * what the role owns, SET for ALTER … OWNER TO and REASSIGN OWNED … TO.
 *
 * Each new session of the admin works out its memberships, which on 15 takes a time that grows faster than their
 * number. Measured on 15 as medians: claim and personalise 49 ms, with 800 more roles (400 tenants) 66 ms, with 3,000
 * about 230 ms; on 18 with 3,000 about 70 ms. A server of 15 should not hold much more than 500 tenants.
 */
export async function grantRoleToAdmin(client: ClientBase, role: string): Promise<string> {
  const { rows } = await client.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::int AS version",
  );
  const options = (rows[0]?.version ?? 0) >= 160_000 ? ' WITH INHERIT TRUE, SET TRUE' : '';
  return `GRANT ${quoteIdentifier(role)} TO CURRENT_USER${options}`;
}

export type RoleOptions =
  | { login: false }
  /** `verifier` as `scramVerifier` makes it; `connectionLimit` -1 is none. */
  | { login: true; verifier: string; connectionLimit: number };

/**
 * Makes the role, or gives the one that is there the same rights, verifier and limit, and lets the admin act as it. Must run in
 * a transaction that keeps others from the same name. Whoever knows the password stays connected when it is set again.
 */
export async function ensureRole(client: ClientBase, name: string, options: RoleOptions): Promise<void> {
  const role = quoteIdentifier(name);
  const found = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
  const login = options.login
    ? `LOGIN PASSWORD ${quoteLiteral(options.verifier)} CONNECTION LIMIT ${Math.trunc(options.connectionLimit)}`
    : 'NOLOGIN';
  const verb = found.rowCount === 0 ? 'CREATE' : 'ALTER';
  await client.query(`${verb} ROLE ${role} NOCREATEDB NOCREATEROLE NOINHERIT ${login}`);
  await client.query(await grantRoleToAdmin(client, name));
}

/** Lets the role log in with the password it has, or not at all. A role that is not there stays so. */
export async function setLogin(client: ClientBase, name: string, to: { login: boolean }): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin <> $2', [
    name,
    to.login,
  ]);
  if (rowCount === 1) await client.query(`ALTER ROLE ${quoteIdentifier(name)} ${to.login ? 'LOGIN' : 'NOLOGIN'}`);
}
