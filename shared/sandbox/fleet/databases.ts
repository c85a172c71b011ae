import { Client } from 'pg';
import { quoteIdentifier, quoteLiteral } from '#shared/adapters/odoo-server/quote.ts';
import { scramVerifier } from '#shared/adapters/odoo-server/scram.ts';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import type { PostgresServer } from '#shared/sandbox/servers/postgres.ts';

/** Names of what the sandbox makes in its servers. */
export const platform = { database: 'platform', user: 'fleet' } as const;
export const odooAdmin = 'fleet_admin';

async function asSuperuser<Result>(
  server: PostgresServer,
  database: string,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const { host, port, superuser, superuserPassword } = server;
  const client = new Client({ host, port, database, user: superuser, password: superuserPassword });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function ensureRole(client: Client, role: { name: string; password: string; rights: string }): Promise<void> {
  const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [role.name]);
  const verb = rowCount === 0 ? 'create' : 'alter';
  // As a verifier: no server log ever holds the password.
  const verifier = quoteLiteral(await scramVerifier(role.password));
  await client.query(`${verb} role ${quoteIdentifier(role.name)} ${role.rights} password ${verifier}`);
}

/** The platform's database and its role, with the newest tables unless stated otherwise. */
export async function preparePlatform(
  server: PostgresServer,
  password: string,
  { isMigrated = true }: { isMigrated?: boolean } = {},
): Promise<void> {
  await asSuperuser(server, 'postgres', async (client) => {
    await ensureRole(client, { name: platform.user, password, rights: 'login nosuperuser' });
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [platform.database]);
    if (rowCount === 0) {
      await client.query(
        `create database ${quoteIdentifier(platform.database)} owner ${quoteIdentifier(platform.user)}`,
      );
    }
  });
  if (!isMigrated) return;
  const { host, port } = server;
  await migrate({ host, port, database: platform.database, user: platform.user, password });
}

/** The admin of an Odoo server, with just the rights that managed services give. */
export async function prepareOdooServer(server: PostgresServer, password: string): Promise<void> {
  await asSuperuser(server, 'postgres', async (client) => {
    const rights = 'login createdb createrole nosuperuser';
    await ensureRole(client, { name: odooAdmin, password, rights });
  });
}
