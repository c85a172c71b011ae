import type { Database } from '#shared/adapters/postgres/database.ts';
import { scopesOfRole } from '#shared/domain/access/principal.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { mintKey } from '#shared/runtime/access/mint-key.ts';

/** The customer whose instances are read. */
export const customerId = 'c-1';
/** Those for whom instances are made: requests of one customer wait for each other, and count what he has. */
export const buyers = Array.from({ length: 200 }, (_, number) => `buyer-${number}`);
/** As many as a limit per key does not stop: the highest one is 100,000 a minute. */
const keyCount = 10;
/** So that a busy machine writes them in a statement's time. */
const rowsAtOnce = 5_000;

export type Filled = {
  /** Of instances that run. */
  ids: readonly string[];
  /** API keys of the customer. */
  keys: readonly string[];
  /** One that may ask for anybody. */
  adminKey: string;
};

/** A catalogue, a server with room, and `count` running instances of one customer, whose keys are given. */
export async function fillFleet(database: Database, count: number): Promise<Filled> {
  const ids = Array.from({ length: count }, (_, number) => deriveInstanceId('urn:bench', String(number)));
  await database.query(`insert into plans (id, cpu_millis, memory_mib, disk_gib) values ('small', 500, 512, 5)`);
  await database.query(`insert into images (id, reference, odoo_version) values ('odoo-19', 'odoo@sha256:0', '19.0')`);
  await database.query(`insert into clusters (id, base_domain) values ('default', 'odoo.example')`);
  await database.query(`insert into customers (id, quota) values ($1, 1000000)`, [customerId]);
  await database.query(`insert into customers (id, quota) select id, 1000000 from unnest($1::text[]) as id`, [buyers]);
  await database.query(
    `insert into db_servers (id, host, admin_user, secret_key, max_instances, reached_at)
     values ('pg-1', 'pg-1.example', 'fleet_admin', 'pg-1', 1000000, now())`,
  );
  for (let at = 0; at < count; at += rowsAtOnce)
    await database.query(
      `insert into instances (id, customer_id, name, host, cluster_id, plan_id, image_id, admin_login, status,
       observed_generation, db_server_id, created_at)
     select id, $2, 'n-' || id, 'n-' || id || '.odoo.example', 'default', 'small', 'odoo-19', 'owner@acme.example',
       'running', 1, 'pg-1', now() - ($3 + number) * interval '1 minute'
     from unnest($1::text[]) with ordinality as new (id, number)`,
      [ids.slice(at, at + rowsAtOnce), customerId, at],
    );
  for (const table of ['instances', 'operations', 'suspensions', 'backups']) await database.query(`analyze ${table}`);
  const keys: string[] = [];
  for (let number = 0; number < keyCount; number += 1) keys.push(await keyOf(database, 'customer', customerId));
  return { ids, keys, adminKey: await keyOf(database, 'admin', null) };
}

async function keyOf(database: Database, role: 'admin' | 'customer', customer: string | null): Promise<string> {
  const grant = { role, customerId: customer, scopes: scopesOfRole[role] };
  const wanted = { grant, name: 'bench', expiresAt: new Date(Date.now() + 3_600_000), by: 'bench' };
  return (await database.transaction((transaction) => mintKey(transaction, wanted))).text;
}
