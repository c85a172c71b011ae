import type { ClientBase } from 'pg';
import { quoteIdentifier } from './quote.ts';
import { batch } from './transaction.ts';

/**
 * Takes back what the role of the Job may have done to its database. It owns it, and programs that a tenant wrote run as
 * this role while a dump is restored: they can make it a template, which nobody may drop, set what every session in it
 * begins with, give rights on it to roles of others, which could not be dropped then, and write another mark.
 */
export async function resetPassing(client: ClientBase, name: string): Promise<void> {
  const database = quoteIdentifier(name);
  await batch(client, [
    `ALTER DATABASE ${database} WITH IS_TEMPLATE false CONNECTION LIMIT -1 ALLOW_CONNECTIONS true`,
    `ALTER DATABASE ${database} RESET ALL`,
  ]);
  const { rows } = await client.query<{ grantee: string }>(
    `SELECT DISTINCT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee
     FROM pg_database, aclexplode(datacl) WHERE datname = $1 AND grantee <> datdba`,
    [name],
  );
  if (rows.length === 0) return;
  await client.query(
    `REVOKE ALL ON DATABASE ${database} FROM ${rows.map(({ grantee }) => grantee).join(', ')} CASCADE`,
  );
}
