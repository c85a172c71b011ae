import type { Client } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import { saysItExists } from './errors.ts';
import { controlDatabase, templateObjectsRole } from './object-names.ts';
import { quoteIdentifier } from './quote.ts';
import { grantRoleToAdmin } from './roles.ts';
import type { ServerAccess } from './server-access.ts';
import { batch, inTransaction } from './transaction.ts';

/** Before 15, PUBLIC may create in every new schema `public`. */
const oldestVersion = 150_000;
/** Any number; only this adapter takes advisory locks in the control database. */
const prepareLock = 0x666c6565;

/** What is known of a server once it was reached. */
export type ReachedServer = {
  /** `server_version_num`: 150018 is 15.18. */
  versionNumber: number;
};

/** @throws Failure `misconfigured` when the version is too old or the admin role lacks a right. */
export async function reachServer(access: ServerAccess): Promise<ReachedServer> {
  const { server } = access;
  const { rows } = await access.unpooled('reach the server', { database: 'postgres' }, (client) =>
    client.query<{ version: number; may: boolean; superuser: boolean }>(
      `SELECT current_setting('server_version_num')::int AS version, rolcreatedb AND rolcreaterole AS may,
         rolsuper AS superuser FROM pg_roles WHERE rolname = current_user`,
    ),
  );
  const versionNumber = rows[0]?.version ?? 0;
  if (versionNumber < oldestVersion) {
    throw new Failure('misconfigured', `Odoo server ${server.id} has PostgreSQL ${versionNumber}; 15 is the oldest`);
  }
  if (rows[0]?.may !== true && rows[0]?.superuser !== true) {
    throw new Failure('misconfigured', `Role ${server.adminUser} on ${server.id} needs CREATEDB and CREATEROLE`);
  }
  return { versionNumber };
}

/** Makes the control database with its table of fences, and the role that owns templates' objects. Repeatable. */
export async function prepareServer(access: ServerAccess): Promise<void> {
  const doing = 'prepare the control database';
  try {
    await access.unpooled(doing, { database: controlDatabase }, fillControlDatabase);
    return;
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'not-found') throw error;
  }
  await access.unpooled(doing, { database: 'postgres' }, createControlDatabase);
  await access.unpooled(doing, { database: controlDatabase }, fillControlDatabase);
}

async function createControlDatabase(client: Client): Promise<void> {
  const name = quoteIdentifier(controlDatabase);
  await client.query(`CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`).catch((error) => {
    if (!saysItExists(error)) throw error;
  });
}

async function fillControlDatabase(client: Client): Promise<void> {
  const name = quoteIdentifier(controlDatabase);
  const role = quoteIdentifier(templateObjectsRole);
  // also the way of every later process, so it looks before it takes locks
  if (await isFilled(client)) return;
  await inTransaction(
    client,
    { applicationName: 'fleet-prepare', first: [`SELECT pg_advisory_xact_lock(${prepareLock})`] },
    async () => {
      await batch(client, [
        `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
        'CREATE TABLE IF NOT EXISTS public.fence (instance_id text PRIMARY KEY, n bigint NOT NULL)',
      ]);
      const found = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [templateObjectsRole]);
      if (found.rowCount === 0) await client.query(`CREATE ROLE ${role} NOLOGIN`);
      await client.query(await grantRoleToAdmin(client, templateObjectsRole));
    },
  );
}

async function isFilled(client: Client): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT FROM pg_roles, pg_database d
     WHERE rolname = $1 AND pg_has_role(current_user, pg_roles.oid, 'USAGE') AND d.datname = current_database()
       AND to_regclass('public.fence') IS NOT NULL AND NOT has_database_privilege('public', d.oid, 'CONNECT')`,
    [templateObjectsRole],
  );
  return rowCount === 1;
}
