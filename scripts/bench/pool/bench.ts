import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { generatePassword } from '#shared/sandbox/servers/password.ts';
import { startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { type PostgresServer, startPostgres } from '#shared/sandbox/servers/postgres.ts';
import type { BenchReport } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';

const workers = 100;
const rows = 10_000;
const roundMs = 2_000;
/** What a function's pool holds unless its configuration says otherwise. */
const poolSize = 5;
const user = 'bench';
const database = 'bench';
const goal = 20;

const read = 'SELECT id, name FROM things WHERE id = $1';
const write = 'UPDATE things SET name = $2 WHERE id = $1';
type Send = (text: string, values: unknown[]) => Promise<unknown>;

/** Queries per second of 100 workers through PgBouncer: by the kept pool, and by a connection per query. */
export async function benchPool(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 5;
  const { folder, processes } = surroundings;
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const password = generatePassword();
  const postgres = await startPostgres({ processes, folder, name: 'platform' });
  await fill(postgres, password);
  const target = { host: postgres.host, port: postgres.port };
  const bouncerFolder = join(folder, 'pgbouncer');
  const bouncer = await startPgBouncer({ processes, folder: bouncerFolder, target, users: [{ name: user, password }] });
  const address = { host: bouncer.host, port: bouncer.port, database, user, password };
  const pool = openDatabase({
    ...address,
    driver: 'pg',
    applicationName: 'bench',
    maxConnections: poolSize,
    sslMode: 'disable',
    onError: (failure) => surroundings.say(failure.message),
  });
  const kept: Send = (text, values) => pool.query(text, values);
  const fresh: Send = async (text, values) => {
    const client = new Client(address);
    await client.connect();
    try {
      return await client.query(text, values);
    } finally {
      await client.end();
    }
  };
  try {
    await throughput(kept, read);
    const samples = await interleave(
      rounds,
      {
        keptRead: () => throughput(kept, read),
        freshRead: () => throughput(fresh, read),
        keptWrite: () => throughput(kept, write),
        freshWrite: () => throughput(fresh, write),
      },
      (round) => surroundings.say(`round ${round + 1} of ${rounds}`),
    );
    return report(samples, rounds);
  } finally {
    await pool.end();
    await bouncer.stop();
    await postgres.stop();
  }
}

async function fill(server: PostgresServer, password: string): Promise<void> {
  const admin = { host: server.host, port: server.port, user: server.superuser, password: server.superuserPassword };
  await withClient({ ...admin, database: 'postgres' }, async (client) => {
    await client.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
    await client.query(`CREATE DATABASE ${database} OWNER ${user}`);
  });
  await withClient({ ...admin, user, password, database }, async (client) => {
    await client.query('CREATE TABLE things (id int PRIMARY KEY, name text NOT NULL)');
    await client.query(`INSERT INTO things SELECT n, 'thing ' || n FROM generate_series(1, ${rows}) n`);
    await client.query('ANALYZE things');
  });
}

async function withClient(config: ConstructorParameters<typeof Client>[0], work: (client: Client) => Promise<void>) {
  const client = new Client(config);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** Queries per second of all workers together, each sending the next when the last was answered. */
async function throughput(send: Send, text: string): Promise<number> {
  let done = 0;
  let isOver = false;
  const worker = async () => {
    while (!isOver) {
      const id = 1 + Math.floor(Math.random() * rows);
      await send(text, text === read ? [id] : [id, `thing ${done}`]);
      done += 1;
    }
  };
  const startedMs = performance.now();
  const all = Promise.all(Array.from({ length: workers }, worker));
  await Promise.race([all, delay(roundMs)]);
  isOver = true;
  await all;
  return (done / (performance.now() - startedMs)) * 1_000;
}

type Samples = Record<'keptRead' | 'freshRead' | 'keptWrite' | 'freshWrite', number[]>;

function report({ keptRead, freshRead, keptWrite, freshWrite }: Samples, rounds: number): BenchReport {
  return {
    name: 'pool',
    about: `queries through PgBouncer in transaction mode, ${workers} workers in one process, ${rounds} rounds of ${roundMs / 1_000} s.`,
    tables: [
      {
        title: 'medians; ratios are medians of the rounds',
        columns: ['arm', 'SELECT/s', '×', 'UPDATE/s', '×'],
        rows: [
          ['a connection per query', median(freshRead), 1, median(freshWrite), 1],
          [
            `kept pool of ${poolSize}`,
            median(keptRead),
            medianRatio(keptRead, freshRead),
            median(keptWrite),
            medianRatio(keptWrite, freshWrite),
          ],
        ],
      },
    ],
    goals: [
      {
        what: 'SELECT by primary key: kept pool against a connection per query',
        measured: medianRatio(keptRead, freshRead),
        limit: goal,
        unit: 'x',
        is: 'at least',
      },
    ],
    notes: [
      'An UPDATE waits for the disk in both arms, which no pool makes faster; its ratio is shown without a goal.',
    ],
  };
}
