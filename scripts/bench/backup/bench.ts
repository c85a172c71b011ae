import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openObjectStore } from '#shared/adapters/objectstore/open.ts';
import { signManifest } from '#shared/domain/backup/manifest.ts';
import { hmacSigner } from '#shared/domain/backup/manifest-seal.ts';
import type { DatabaseAccess, StoreAccess } from '#shared/domain/backup/order.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { startVersitygw, versitygwObstacle } from '#shared/sandbox/servers/versitygw.ts';
import { sha256Of } from '#shared/worker/manifest-bytes.ts';
import { bundleWorker } from '../../build/worker.ts';
import type { BenchReport } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { contentsAlone, dumpThroughZstd, dumpToNothing, environmentOf, plainCustom } from './arms.ts';
import { attachFiles, makeDatabase } from './database.ts';
import { type JobRun, orderOf, runJob } from './job.ts';

/** `pg_database_size` says some more, and is shown: above 1 GB for the large one. */
const sizes = { small: 240, large: 960 };
const files = { count: 2_000, bytes: 40_000, more: 20 };

type World = {
  small: DatabaseAccess;
  large: DatabaseAccess;
  env: Record<string, string>;
  store: StoreAccess;
  program: string;
  folder: string;
  filestore: string;
};

/** A backup of a database of 1 GB: its dump against pg_dump's limit, the whole Job, its memory, and what the second one costs. */
export async function benchBackup(surroundings: Surroundings): Promise<BenchReport> {
  const { folder, processes, say } = surroundings;
  const rounds = surroundings.rounds ?? 3;
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const settings = { shared_buffers: '256MB', max_wal_size: '4GB', autovacuum: 'off' };
  const server = await startPostgres({ processes, folder, name: 'odoo', durable: false, settings });
  try {
    say(`fills databases of ${sizes.small} and ${sizes.large} MB`);
    const world: World = {
      small: await makeDatabase(server, 'bench_small', sizes.small),
      large: await makeDatabase(server, 'bench_large', sizes.large),
      env: {},
      store: await openStore(surroundings),
      program: join(folder, 'worker', 'main.js'),
      folder,
      filestore: join(folder, 'filestore'),
    };
    const passwordFile = join(folder, 'pgpass');
    await writeFile(passwordFile, `*:*:*:*:${world.large.password}\n`, { mode: 0o600 });
    world.env = environmentOf(world.large, passwordFile);
    await bundleWorker(join(folder, 'worker'));
    say('a plain pg_dump -Fc, once');
    const plain = await plainCustom(world.env);
    // the first read of a table after it was filled sets bits in its rows
    await contentsAlone(world.large);
    const arms = await interleave(
      rounds,
      {
        limit: async (): Promise<Sample> => ({ seconds: await dumpToNothing(world.env) }),
        zstd: () => dumpThroughZstd(world.env, { isSealed: false }),
        sealed: () => dumpThroughZstd(world.env, { isSealed: true }),
        contents: async () => ({ seconds: await contentsAlone(world.large) }),
        job: async () => {
          const run = await runJob(world.program, orderOf(world.large, world.store, { filestore: '/nowhere' }), folder);
          return { seconds: run.seconds, run };
        },
      },
      (round) => say(`round ${round + 1} of ${rounds}`),
    );
    say('a database of a quarter of the size, and files');
    const small = await runJob(world.program, orderOf(world.small, world.store, { filestore: '/nowhere' }), folder);
    return report({ arms, small, plain, twice: await twice(world), store: world.store.kind, rounds });
  } finally {
    await server.stop();
  }
}

async function openStore({ processes, folder, say }: Surroundings): Promise<StoreAccess> {
  const obstacle = await versitygwObstacle();
  if (obstacle !== undefined) {
    say(`${obstacle}: the Job writes to a folder`);
    return { kind: 'directory', folder: join(folder, 'store') };
  }
  const { endpoint, region, bucket, writer } = await startVersitygw({ processes, folder: join(folder, 's3') });
  return { kind: 's3', endpoint, region, bucket, ...writer };
}

/** Two backups with files, the second one after a hundredth of them came. */
async function twice({ small, store, program, folder, filestore }: World): Promise<{ first: JobRun; second: JobRun }> {
  await attachFiles(small, filestore, files);
  const order = orderOf(small, store, { filestore });
  const first = await runJob(program, order, folder);
  const manifest = signManifest(first.result, { dump: '', files: '' }, hmacSigner('k', Buffer.alloc(32)));
  const key = `backups/${order.instanceId}/${order.backupId}/manifest`;
  await openObjectStore(store).put(key, manifest);
  await attachFiles(small, filestore, { ...files, count: files.more });
  const again = orderOf(small, store, { filestore, files: order.keys.files });
  const second = await runJob(program, { ...again, previousManifest: { key, sha256: sha256Of(manifest) } }, folder);
  return { first, second };
}

type Sample = { seconds: number; bytes?: number; run?: JobRun };
type Found = {
  arms: Record<'limit' | 'zstd' | 'sealed' | 'contents' | 'job', Sample[]>;
  small: JobRun;
  plain: { bytes: number; seconds: number };
  twice: { first: JobRun; second: JobRun };
  store: string;
  rounds: number;
};

const secondsOf = (runs: readonly { seconds: number }[]) => runs.map(({ seconds }) => seconds);
const megabytes = (bytes: number) => Math.round(bytes / 1e6);

function report({ arms, small, plain, twice: { first, second }, store, rounds }: Found): BenchReport {
  const [limit, zstd, sealed] = [secondsOf(arms.limit), secondsOf(arms.zstd), secondsOf(arms.sealed)];
  const [contents, shipped] = [secondsOf(arms.contents), secondsOf(arms.job)];
  const job = arms.job.flatMap(({ run }) => run ?? []);
  const databaseBytes = job[0]?.result.dump.databaseBytes ?? Number.NaN;
  const zstdBytes = arms.zstd[0]?.bytes ?? Number.NaN;
  const mib = median(job.map((run) => run.mib));
  const nodeMib = median(job.map((run) => run.nodeMib));
  const row = (name: string, seconds: readonly number[], bytes: string | number) => {
    return [name, median(seconds), medianRatio(seconds, limit), bytes];
  };
  return {
    name: 'backup',
    about: `a database of ${megabytes(databaseBytes)} MB of numbers, text and some attachments, ${rounds} rounds.`,
    tables: [
      {
        title: 'medians; ratios are medians of the rounds',
        columns: ['arm', 's', '× limit', 'MB'],
        rows: [
          row('limit: pg_dump -Fc -Z0 > /dev/null', limit, '-'),
          row('pg_dump | zstd, as the worker runs it', zstd, megabytes(zstdBytes)),
          row('… encrypted and hashed twice', sealed, megabytes(zstdBytes)),
          row('rows counted and core tables hashed, alone', contents, '-'),
          row(
            `the Job: all of it, to ${store}, result read back`,
            shipped,
            megabytes(job[0]?.result.dump.storedBytes ?? 0),
          ),
          ['pg_dump -Fc, once', plain.seconds, plain.seconds / median(limit), megabytes(plain.bytes)],
        ],
      },
      {
        title: `the Job's memory at its highest, in MiB`,
        columns: ['database', 'Node', 'with pg_dump and zstd'],
        rows: [
          [`${megabytes(small.result.dump.databaseBytes)} MB`, small.nodeMib, small.mib],
          [`${megabytes(databaseBytes)} MB`, nodeMib, mib],
        ],
      },
      {
        title: `${files.count} files of ${files.bytes / 1_000} kB, then ${files.more} more`,
        columns: ['backup', 'files', 'brought', 'MB brought', 's, with a dump of the small database'],
        rows: [first, second].map(({ result, seconds }, at) => {
          const { count, uploaded } = result.files;
          return [at === 0 ? 'first' : 'second', count, uploaded.count, uploaded.bytes / 1e6, seconds];
        }),
      },
    ],
    goals: [
      {
        what: 'dump through zstd against the limit',
        measured: medianRatio(zstd, limit),
        limit: 1.1,
        unit: 'x',
        is: 'at most',
      },
      { what: 'size against pg_dump -Fc', measured: zstdBytes / plain.bytes, limit: 0.75, unit: 'x', is: 'at most' },
      {
        what: "the Job's memory at four times the size",
        measured: mib / small.mib,
        limit: 1.25,
        unit: 'x',
        is: 'at most',
      },
      {
        what: 'bytes the second backup brings for its files, of the first',
        measured: (100 * second.result.files.uploaded.bytes) / first.result.files.uploaded.bytes,
        limit: 1.1,
        unit: '%',
        is: 'at most',
      },
    ],
    notes: [
      'The Job starts Node, dumps, counts and hashes at the same time, encrypts, uploads, and writes its result.',
      'PostgreSQL, the programs and the S3 server share the processors of this machine.',
    ],
  };
}
