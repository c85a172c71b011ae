import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { openObjectStore } from '#shared/adapters/objectstore/open.ts';
import { neutralizeDatabase } from '#shared/adapters/odoo-server/neutralize.ts';
import { signManifest } from '#shared/domain/backup/manifest.ts';
import { hmacSigner } from '#shared/domain/backup/manifest-seal.ts';
import type { BackupOrder, DatabaseAccess, LoadOrder, StoreAccess } from '#shared/domain/backup/order.ts';
import { type PostgresServer, startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { dangerousRecords, smallOdooSchema } from '#shared/testing/dangerous-odoo.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { sha256Of } from '#shared/worker/manifest-bytes.ts';
import { bundleWorker } from '../../build/worker.ts';
import { makeDatabase } from '../backup/database.ts';
import { newKey, orderOf, runJob, runProgram } from '../backup/job.ts';
import type { BenchReport } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';

/** Above 1 GB by `pg_database_size`. */
const megabytes = 960;

type World = {
  server: PostgresServer;
  source: DatabaseAccess;
  store: StoreAccess;
  program: string;
  folder: string;
  backup: { order: BackupOrder; manifest: { key: string; sha256: string } };
};

type Sample = { seconds: number; neutralSeconds?: number };

/** A copy of a database of 1 GB as a clone makes it, from a backup and neutral, against what PostgreSQL alone takes for one. */
export async function benchClone({ folder, processes, say, ...given }: Surroundings): Promise<BenchReport> {
  const rounds = given.rounds ?? 3;
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const settings = { shared_buffers: '256MB', max_wal_size: '4GB', autovacuum: 'off' };
  const server = await startPostgres({ processes, folder, name: 'odoo', durable: false, settings });
  try {
    say(`fills a database of ${megabytes} MB`);
    const source = await makeDatabase(server, 'bench_source', megabytes);
    await makeDangerous(source);
    const program = join(folder, 'worker', 'main.js');
    await bundleWorker(join(folder, 'worker'));
    say('backs it up');
    const store: StoreAccess = { kind: 'directory', folder: join(folder, 'store') };
    const world = {
      server,
      source,
      store,
      program,
      folder,
      backup: await backedUp({ source, store, program, folder }),
    };
    const arms = await interleave(
      rounds,
      {
        template: async (): Promise<Sample> => ({ seconds: await byTemplate(world) }),
        clone: async () => await byLoad(world),
      },
      (round) => say(`round ${round + 1} of ${rounds}`),
    );
    const { dump } = await sizeOf(source);
    return report({ ...arms, bytes: dump, rounds });
  } finally {
    await server.stop();
  }
}

/** Odoo's tables that are neutralized, with every dangerous record. */
async function makeDangerous(source: DatabaseAccess): Promise<void> {
  await withClient(source, async (client) => {
    await client.query(smallOdooSchema.replaceAll('CREATE TABLE ', 'CREATE TABLE IF NOT EXISTS '));
    const world = { mail: { host: '127.0.0.1', port: 1 }, http: 'http://127.0.0.1:1' };
    for (const { sql } of dangerousRecords(world)) await client.query(sql);
  });
}

async function backedUp(world: Pick<World, 'source' | 'store' | 'program' | 'folder'>): Promise<World['backup']> {
  const order = orderOf(world.source, world.store, { filestore: '/nowhere' });
  const { result } = await runJob(world.program, order, world.folder);
  const manifest = signManifest(result, { dump: '', files: '' }, hmacSigner('k', Buffer.alloc(32)));
  const key = `backups/${order.instanceId}/${order.backupId}/manifest`;
  await openObjectStore(world.store).put(key, manifest);
  return { order, manifest: { key, sha256: sha256Of(manifest) } };
}

let count = 0;

/** What PostgreSQL alone takes; nobody may be in the source. */
async function byTemplate({ server, source }: World): Promise<number> {
  const name = `template_copy_${++count}`;
  return await asSuperuser(server, async (client) => {
    const startedMs = performance.now();
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${source.database}`);
    const seconds = (performance.now() - startedMs) / 1_000;
    await client.query(`DROP DATABASE ${name}`);
    return seconds;
  });
}

/** A clone's way: the Job that restores the backup and compares it, then twice our rules, with their last look. */
async function byLoad(world: World): Promise<Sample> {
  const name = `load_copy_${++count}`;
  const { server, source, backup } = world;
  await asSuperuser(server, async (client) => {
    await client.query(`CREATE ROLE ${name} LOGIN PASSWORD '${name}'`);
    await client.query(`CREATE DATABASE ${name} OWNER ${name} TEMPLATE template0`);
  });
  const database = { ...source, user: name, password: name, database: name };
  const operationId = randomUUID();
  const order: LoadOrder = {
    version: 1,
    task: 'load',
    instanceId: backup.order.instanceId,
    operationId,
    attempt: 1,
    store: world.store,
    prefix: `loads/${backup.order.instanceId}/${operationId}/1`,
    resultKey: newKey(),
    source: {
      kind: 'backup',
      instanceId: backup.order.instanceId,
      backupId: backup.order.backupId,
      manifest: backup.manifest,
      keys: backup.order.keys,
    },
    database,
    filestore: { folder: join(world.folder, 'filestore', name), linkFrom: null },
  };
  const file = join(world.folder, `${operationId}.json`);
  await writeFile(file, JSON.stringify(order), { mode: 0o600 });
  const startedMs = performance.now();
  await runProgram(world.program, file, { folder: world.folder });
  const loadedMs = performance.now();
  for (const _time of ['before the image', 'after it'])
    await withClient(database, (client) => neutralizeDatabase(client));
  const endedMs = performance.now();
  await asSuperuser(server, async (client) => {
    await client.query(`DROP DATABASE ${name}`);
    await client.query(`DROP ROLE ${name}`);
  });
  return { seconds: (endedMs - startedMs) / 1_000, neutralSeconds: (endedMs - loadedMs) / 1_000 };
}

async function withClient<Result>(to: DatabaseAccess, work: (client: Client) => Promise<Result>): Promise<Result> {
  const { host, port, user, password, database } = to;
  const client = new Client({ host, port, user, password, database });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function sizeOf(source: DatabaseAccess): Promise<{ dump: number }> {
  return await withClient(source, async (client) => {
    const { rows } = await client.query<{ bytes: string }>('SELECT pg_database_size(current_database()) AS bytes');
    return { dump: Number(rows[0]?.bytes) };
  });
}

function report(found: { template: Sample[]; clone: Sample[]; bytes: number; rounds: number }): BenchReport {
  const secondsOf = (samples: readonly Sample[]) => samples.map(({ seconds }) => seconds);
  const [template, clone] = [secondsOf(found.template), secondsOf(found.clone)];
  const neutral = found.clone.map(({ neutralSeconds = Number.NaN }) => neutralSeconds);
  return {
    name: 'clone',
    about: `a copy of a database of ${Math.round(found.bytes / 1e6)} MB, ${found.rounds} rounds.`,
    tables: [
      {
        title: 'medians; ratios are medians of the rounds',
        columns: ['arm', 's', '× CREATE DATABASE … TEMPLATE'],
        rows: [
          ['CREATE DATABASE … TEMPLATE', median(template), 1],
          ['a clone: loaded from a backup, compared, neutralized twice', median(clone), medianRatio(clone, template)],
          ['of it neutralizing, both times', median(neutral), medianRatio(neutral, template)],
        ],
      },
    ],
    goals: [
      {
        what: 'neutralizing, of the whole clone',
        measured: 100 * medianRatio(neutral, clone),
        limit: 10,
        unit: '%',
        is: 'at most',
      },
    ],
    notes: [
      'A template copies files of the server, and asks that nobody is connected to the source; it knows of no files and no rules.',
      'A clone reads a backup: the source is not touched, may be on another server, and has been proven where the backup was.',
      'The Job of the image and the start of Odoo come on top: they take as long as for any instance.',
    ],
  };
}
