import { join } from 'node:path';
import { Client } from 'pg';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import { generatePassword } from '#shared/sandbox/servers/password.ts';
import { startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import type { Surroundings } from '../surroundings.ts';
import { insertBackups } from './backup-rows.ts';
import { image, instanceIdOf, plan, serverCount } from './fleet.ts';

/** A platform database on a private server. */
export type Records = {
  /** The way functions go: PgBouncer in transaction mode. */
  pooled: { host: string; port: number; database: string; user: string; password: string };
  /** Adds instances until there are so many, each brought about and placed. */
  fill(instances: number): Promise<void>;
  /** Gives those that have none the backups of some months. */
  backUp(): Promise<void>;
  /** What earlier passes found and asked for. */
  forget(): Promise<void>;
  /** Everything is due now. */
  makeDue(): Promise<void>;
  /** Rows of all tables but the shards' own that are there because `work` ran, changed or deleted by it. */
  rowsWrittenBy(work: () => Promise<void>): Promise<number>;
  stop(): Promise<void>;
};

const user = 'fleet';
const database = 'platform';

export async function openRecords({ processes, folder }: Surroundings): Promise<Records> {
  const password = generatePassword();
  const postgres = await startPostgres({ processes, folder, name: 'platform' });
  const { host, port, superuser, superuserPassword } = postgres;
  const admin = new Client({ host, port, user: superuser, password: superuserPassword, database: 'postgres' });
  await admin.connect();
  await admin.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
  await admin.query(`CREATE DATABASE ${database} OWNER ${user}`);
  await admin.end();
  await migrate({ host, port, database, user, password });
  const bouncerFolder = join(folder, 'pgbouncer');
  const users = [{ name: user, password }];
  const bouncer = await startPgBouncer({ processes, folder: bouncerFolder, target: { host, port }, users });
  const client = new Client({ host, port, database, user, password });
  await client.connect();
  await insertCatalogue(client);
  let [there, backedUp] = [0, 0];
  return {
    pooled: { host: bouncer.host, port: bouncer.port, database, user, password },
    async fill(instances) {
      const numbers = Array.from({ length: instances - there }, (_, index) => there + index);
      await insertInstances(client, numbers);
      there = instances;
    },
    async backUp() {
      const numbers = Array.from({ length: there - backedUp }, (_, index) => backedUp + index);
      await insertBackups(client, numbers.map(instanceIdOf));
      await client.query('vacuum analyze');
      backedUp = there;
    },
    forget: async () => void (await client.query('truncate findings, outbox')),
    makeDue: async () => void (await client.query('update reconcile_shards set due_at = now()')),
    rowsWrittenBy: (work) => rowsWrittenBy(client, work),
    async stop() {
      await client.end();
      await bouncer.stop();
      await postgres.stop();
    },
  };
}

async function insertCatalogue(client: Client): Promise<void> {
  await client.query(`insert into plans (id, cpu_millis, memory_mib, disk_gib, workers) values ($1, $2, $3, $4, $5)`, [
    plan.id,
    plan.cpuMillis,
    plan.memoryMib,
    plan.diskGib,
    plan.workers,
  ]);
  await client.query('insert into images (id, reference, odoo_version) values ($1, $2, $3)', [
    image.id,
    image.reference,
    image.odooVersion,
  ]);
  await client.query(`insert into clusters (id, base_domain) values ('default', 'odoo.example')`);
  await client.query(`insert into customers (id, quota) values ('c-1', 1000000)`);
  await client.query(
    `insert into db_servers (id, host, admin_user, secret_key, max_instances, reached_at)
     select 'pg-' || n, 'pg-' || n || '.example', 'fleet_admin', 'pg-' || n, 1000000, now()
     from generate_series(0, $1::integer - 1) n`,
    [serverCount],
  );
}

/** With what a provisioning leaves behind: an operation that is over. */
async function insertInstances(client: Client, numbers: readonly number[]): Promise<void> {
  await client.query(
    `insert into instances (id, customer_id, name, host, cluster_id, plan_id, image_id, admin_login, status,
       observed_generation, db_server_id)
     select id, 'c-1', 'n-' || id, 'n-' || id || '.odoo.example', 'default', $3, $4, 'owner@acme.example', 'running',
       1, server from unnest($1::text[], $2::text[]) as new (id, server)`,
    [numbers.map(instanceIdOf), numbers.map((number) => `pg-${number % serverCount}`), plan.id, image.id],
  );
  await client.query(
    `insert into operations (id, instance_id, kind, definition_version, state, deadline, idempotency_key, requested_by,
       cause, request, finished_at)
     select gen_random_uuid(), id, 'provision', 1, 'succeeded', now(), id, 'urn:bench', id, '{}', now()
     from unnest($1::text[]) as new (id)`,
    [numbers.map(instanceIdOf)],
  );
  await client.query(
    `update db_servers s set instance_count = (select count(*) from instances where db_server_id = s.id)`,
  );
  await client.query('vacuum analyze');
}

async function rowsWrittenBy(client: Client, work: () => Promise<void>): Promise<number> {
  const { rows: tables } = await client.query<{ name: string }>(
    `select table_name::text as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> 'reconcile_shards'`,
  );
  const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
  const since = rows[0]?.xid ?? '0';
  const count = async (name: string) => {
    const text = `select count(*)::integer as all,
      count(*) filter (where xmin::text::bigint >= $1::bigint)::integer as written from "${name}"`;
    return (await client.query<{ all: number; written: number }>(text, [since])).rows[0] ?? { all: 0, written: 0 };
  };
  const before = new Map<string, number>();
  for (const { name } of tables) before.set(name, (await count(name)).all);
  await work();
  let written = 0;
  for (const { name } of tables) {
    const after = await count(name);
    const deleted = (before.get(name) ?? 0) + after.written - after.all;
    written += Math.max(after.written, deleted, 0);
  }
  return written;
}
