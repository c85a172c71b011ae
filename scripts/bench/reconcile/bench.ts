import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { untilTrue } from '../conditions.ts';
import type { BenchReport, Cell } from '../report.ts';
import { growthExponent } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { type BackupSample, backupGoals, backupsTable, measureBackups } from './backups.ts';
import { instanceIdOf } from './fleet.ts';
import type { EngineInput, EngineResult } from './programs/engine.ts';
import { openRecords, type Records } from './records.ts';

const sizes = [1_000, 10_000, 50_000] as const;
/** Of these every instance has backups; to write those of the largest would take minutes. */
const backedUpSizes: readonly number[] = [1_000, 10_000];
const exponentGoal = 1.15;
/** Objects per page of a list, as the product asks for them. */
const pageSize = 500;
const longestMs = 240_000;

type Sample = EngineResult & { size: number; written: number; pages: number };

/** Passes over fleets of three sizes in which nothing drifted: calls, time, memory, and what was written. */
export async function benchReconcile(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 1;
  await mkdir(surroundings.folder, { recursive: true, mode: 0o711 });
  const records = await openRecords(surroundings);
  try {
    const kubeconfigFile = await startApi(surroundings);
    const samples: Sample[] = [];
    const backups: BackupSample[] = [];
    // What is missing is found: otherwise all this would be quick for the wrong reason. It also wakes the lists' program.
    const [smallest] = sizes;
    await records.fill(smallest);
    const proof = await passOver(surroundings, { records, kubeconfigFile, size: smallest, objects: smallest - 1 });
    await records.forget();
    for (const size of sizes) {
      surroundings.say(`${size} instances`);
      await records.fill(size);
      for (let round = 0; round < rounds; round += 1) {
        samples.push(await passOver(surroundings, { records, kubeconfigFile, size, objects: size }));
      }
      if (backedUpSizes.includes(size)) backups.push(await measureBackups(records, size));
    }
    return report(samples, { proof, backups });
  } finally {
    await records.stop();
  }
}

async function startApi({ processes, folder }: Surroundings): Promise<string> {
  const port = await freePort();
  const kubeconfigFile = join(folder, 'kubeconfig');
  await processes.start({
    name: 'kubernetes lists',
    command: process.execPath,
    args: [fileURLToPath(new URL('programs/api.ts', import.meta.url))],
    env: { PATH: process.env['PATH'] ?? '', FOLDER: folder, PORT: String(port), KUBECONFIG: kubeconfigFile },
    logFile: join(folder, 'api.log'),
  });
  const isWritten = async () => (await readFile(kubeconfigFile, 'utf8')).length > 0;
  await untilTrue('the Kubernetes lists', isWritten, { timeoutMs: 20_000, everyMs: 50 });
  return kubeconfigFile;
}

async function passOver(
  { processes, folder }: Surroundings,
  run: { records: Records; kubeconfigFile: string; size: number; objects: number },
): Promise<Sample> {
  const { records, kubeconfigFile, size, objects } = run;
  const resultFile = join(folder, `result-${size}-${objects}.json`);
  const input: EngineInput = { database: records.pooled, kubeconfigFile, instances: objects, resultFile };
  await records.makeDue();
  const written = await records.rowsWrittenBy(async () => {
    const engine = await processes.start({
      name: 'reconcile',
      command: process.execPath,
      args: [fileURLToPath(new URL('programs/engine.ts', import.meta.url))],
      env: { PATH: process.env['PATH'] ?? '', INPUT: JSON.stringify(input) },
      logFile: join(folder, 'engine.log'),
    });
    const timer = setTimeout(() => void engine.stop(), longestMs);
    const { code } = await engine.exited;
    clearTimeout(timer);
    if (code !== 0) throw new Error(`The passes failed: ${await readFile(join(folder, 'engine.log'), 'utf8')}`);
  });
  const result = JSON.parse(await readFile(resultFile, 'utf8')) as EngineResult;
  if (result.instances !== size) throw new Error(`${result.instances} of ${size} instances were compared.`);
  return { ...result, size, written, pages: pagesOf(objects) };
}

/** Pages of six lists per shard, and of the Ingresses of others; an instance has two Secrets. */
function pagesOf(instances: number): number {
  const counts = new Map<string, number>();
  for (let number = 0; number < instances; number += 1) {
    const shard = instanceIdOf(number).slice(0, 1);
    counts.set(shard, (counts.get(shard) ?? 0) + 1);
  }
  const pages = (objects: number) => Math.max(1, Math.ceil(objects / pageSize));
  return [...counts.values()].reduce((sum, count) => sum + 5 * pages(count) + pages(2 * count) + 1, 0);
}

function report(
  samples: readonly Sample[],
  { proof, backups }: { proof: Sample; backups: readonly BackupSample[] },
): BenchReport {
  return {
    name: 'reconcile',
    about:
      'one pass over all shards of a fleet in which nothing drifted, by the product in a process of its own: lists over TLS by its client, records in PostgreSQL through PgBouncer.',
    tables: [...tablesOf(samples), backupsTable(backups)],
    goals: [...backupGoals(backups), ...goalsOf(samples)],
    notes: [
      `With one instance's objects and database taken away, the same passes found ${proof.findings} things and wrote ${proof.written} rows.`,
      'Simulated: the lists (made of the product’s builders by a program that answers lists only) and the catalogues of',
      'the five database servers, which are made at the port of the survey. Real: the client, the comparison, the records.',
      'A shard’s own row is written by each pass (its lease and when it is due next) and not counted.',
    ],
  };
}

const row = (one: Sample): Cell[] => [
  `${one.size.toLocaleString('en-US')} instances`,
  one.seconds,
  one.processorSeconds,
  (one.processorSeconds / one.size) * 1_000_000,
  one.peakMib,
  one.peakMib - one.startMib,
  one.kubernetesCalls,
  one.pages,
  one.connections,
  one.surveys,
  one.written,
];

/** How something grows with the number of instances: 1 is linear. */
function exponentOf(samples: readonly Sample[], value: (sample: Sample) => number): number {
  return growthExponent(samples.map((sample) => ({ x: sample.size, y: value(sample) })));
}

function tablesOf(samples: readonly Sample[]): BenchReport['tables'] {
  const exponent = (value: (sample: Sample) => number) => exponentOf(samples, value);
  return [
    {
      title: 'per size',
      columns: [
        '',
        's',
        'CPU s',
        'CPU µs each',
        'peak MiB',
        'of it passes',
        'calls',
        'pages',
        'TLS',
        'surveys',
        'rows written',
      ],
      rows: samples.map(row),
    },
    {
      title: 'growth with the number of instances (1 is linear)',
      columns: ['', 'exponent'],
      rows: [
        ['time', exponent(({ seconds }) => seconds)],
        ['processor time', exponent(({ processorSeconds }) => processorSeconds)],
        ['peak memory', exponent(({ peakMib }) => peakMib)],
        ['memory of the passes', exponent(({ peakMib, startMib }) => peakMib - startMib)],
        ['calls', exponent(({ kubernetesCalls }) => kubernetesCalls)],
      ],
    },
  ];
}

function goalsOf(samples: readonly Sample[]): BenchReport['goals'] {
  const exponent = (value: (sample: Sample) => number) => exponentOf(samples, value);
  const most = (value: (sample: Sample) => number) => Math.max(...samples.map(value));
  return [
    goal(
      'time: exponent',
      exponent(({ seconds }) => seconds),
      exponentGoal,
    ),
    goal(
      'processor time: exponent',
      exponent(({ processorSeconds }) => processorSeconds),
      exponentGoal,
    ),
    goal(
      'peak memory: exponent',
      exponent(({ peakMib }) => peakMib),
      exponentGoal,
    ),
    goal(
      'calls beyond one per page',
      most(({ kubernetesCalls, pages }) => kubernetesCalls - pages),
      0,
    ),
    goal(
      'rows written when nothing drifted',
      most(({ written }) => written),
      0,
    ),
    goal(
      'findings when nothing drifted, or places not read',
      most(({ findings, blind }) => findings + blind),
      0,
    ),
  ];
}

function goal(what: string, measured: number, limit: number) {
  return { what, measured, limit, unit: 'x' as const, is: 'at most' as const };
}
