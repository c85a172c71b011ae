import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { generatePassword } from '#shared/sandbox/servers/password.ts';
import { startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import type { Surroundings } from '../surroundings.ts';

/** All numbers of five digits from 2 to 7: pgbench, which computes with numbers only, can make every id, too. */
export const instances = 6 ** 5;
/** Every so many has an operation at work: its status is not for observations to change. */
export const atWorkEvery = 100;

/** The id of the instance with this number, 12 digits from 2 to 7. */
export function idOf(number: number): string {
  return String(222_222_222_222 + Number(number.toString(6)));
}

/** The same in pgbench's arithmetic, from the variable `n`. */
export const pgbenchId =
  '222222222222 + :n % 6 + 10 * (:n / 6 % 6) + 100 * (:n / 36 % 6) + 1000 * (:n / 216 % 6) + 10000 * (:n / 1296 % 6)';

/** Who connects, through the bouncer. `rival` is pgbench: a database and a user of its own, so that each has its own pool. */
export type Party = 'fleet' | 'rival';

export type StatusWorld = {
  bouncer: { host: string; port: number };
  passwords: Record<Party, string>;
  binFolder: string;
  version: string;
  /** As the function opens it. */
  open(party: Party, maxConnections: number): Database;
  /** The largest number of server connections a party has had since the last call. */
  takeServerConnections(party: Party): Promise<number>;
  stop(): Promise<void>;
};

/** A PostgreSQL that waits for its disk and a PgBouncer before it, with the same fleet in a database per party. */
export async function openStatusWorld({ folder, processes, say }: Surroundings): Promise<StatusWorld> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const passwords = { fleet: generatePassword(), rival: generatePassword() };
  const postgres = await startPostgres({ processes, folder, name: 'platform', settings: { max_connections: '300' } });
  const direct = { host: postgres.host, port: postgres.port };
  const admin = new Client({
    ...direct,
    user: postgres.superuser,
    password: postgres.superuserPassword,
    database: 'postgres',
  });
  // the query that meets it reports it
  admin.on('error', () => undefined);
  await admin.connect();
  const bouncer = await startPgBouncer({
    processes,
    folder: join(folder, 'pgbouncer'),
    target: direct,
    users: Object.entries(passwords).map(([name, password]) => ({ name, password })),
  });
  const open: StatusWorld['open'] = (party, maxConnections) =>
    openDatabase({
      driver: 'pg',
      host: bouncer.host,
      port: bouncer.port,
      database: party,
      user: party,
      password: passwords[party],
      applicationName: 'bench',
      sslMode: 'disable',
      maxConnections,
      // a hundred connections at once are slow on a busy machine, and no failure
      connectTimeoutMs: 60_000,
      onError: (failure) => say(failure.message),
    });
  for (const party of ['fleet', 'rival'] as const) {
    await admin.query(`create role ${party} login password '${passwords[party]}'`);
    await admin.query(`create database ${party} owner ${party}`);
    await migrate({ ...direct, database: party, user: party, password: passwords[party] });
    await fill(open(party, 1));
  }
  const most = { fleet: 0, rival: 0 };
  const sampler = sample(admin, most);
  return {
    bouncer: { host: bouncer.host, port: bouncer.port },
    passwords,
    binFolder: postgres.binFolder,
    version: postgres.version,
    open,
    async takeServerConnections(party) {
      const found = most[party];
      most[party] = 0;
      return found;
    },
    async stop() {
      clearInterval(sampler);
      await admin.end().catch(() => undefined);
      await bouncer.stop();
      await postgres.stop();
    },
  };
}

function sample(admin: Client, most: Record<Party, number>): NodeJS.Timeout {
  let isAsking = false;
  const ask = async () => {
    if (isAsking) return;
    isAsking = true;
    try {
      const { rows } = await admin.query<{ usename: Party; count: number }>(
        `select usename, count(*)::integer as count from pg_stat_activity
         where usename in ('fleet', 'rival') group by usename`,
      );
      for (const { usename, count } of rows) most[usename] = Math.max(most[usename], count);
    } catch {
      // the bench is over, or its next statement says what is wrong
    } finally {
      isAsking = false;
    }
  };
  return setInterval(() => void ask(), 50);
}

async function fill(database: Database): Promise<void> {
  const ids = Array.from({ length: instances }, (_, number) => idOf(number));
  try {
    await insertCatalogue(database);
    await database.query(
      `insert into instances (id, customer_id, name, host, cluster_id, plan_id, image_id, admin_login, status,
         observed_generation)
       select id, 'c-1', 'n-' || id, 'n-' || id || '.odoo.example', 'default', 'small', 'odoo-19',
         'owner@acme.example', 'error', 1
       from unnest($1::text[]) as i (id)`,
      [ids],
    );
    await database.query(
      `insert into operations (id, instance_id, kind, definition_version, state, deadline, idempotency_key,
         requested_by, cause, request)
       select gen_random_uuid(), id, 'start', 1, 'waiting', now() + interval '1 day', 'bench', 'urn:bench', 'bench', '{}'
       from unnest($1::text[]) with ordinality as i (id, number) where number % $2 = 1`,
      [ids, atWorkEvery],
    );
    for (const table of ['instances', 'operations', 'inbox', 'streams', 'outbox', 'suspensions']) {
      await database.query(`analyze ${table}`);
    }
  } finally {
    await database.end();
  }
}
