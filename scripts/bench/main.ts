import { rm } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { openProcessGroup } from '#shared/sandbox/processes.ts';
import { type BenchName, type BenchOptions, readOptions, usage } from './options.ts';
import { type BenchReport, isMet, render } from './report.ts';
import { type Surroundings, takeWorkFolder } from './surroundings.ts';

/** Loaded one by one: what one bench needs must not lie in another one's memory. */
const benches: Record<BenchName, () => Promise<(surroundings: Surroundings) => Promise<BenchReport>>> = {
  event: async () => (await import('./event/bench.ts')).benchEvent,
  pool: async () => (await import('./pool/bench.ts')).benchPool,
  status: async () => (await import('./status/bench.ts')).benchStatus,
  provision: async () => (await import('./provision/bench.ts')).benchProvision,
  burst: async () => (await import('./burst/bench.ts')).benchBurst,
  reconcile: async () => (await import('./reconcile/bench.ts')).benchReconcile,
  cache: async () => (await import('./cache/bench.ts')).benchCache,
  kubernetes: async () => (await import('./kubernetes/bench.ts')).benchKubernetes,
  cold: async () => (await import('./cold/bench.ts')).benchCold,
  'http-client': async () => (await import('./http-client/bench.ts')).benchHttpClient,
  backup: async () => (await import('./backup/bench.ts')).benchBackup,
  restore: async () => (await import('./restore/bench.ts')).benchRestore,
  clone: async () => (await import('./clone/bench.ts')).benchClone,
  webhook: async () => (await import('./webhook/bench.ts')).benchWebhook,
  api: async () => (await import('./api/bench.ts')).benchApi,
  load: async () => (await import('./load/bench.ts')).benchLoad,
  cluster: async () => (await import('./cluster/bench.ts')).benchCluster,
};

function machine(): string {
  const processors = cpus();
  const load = loadavg().map((value) => value.toFixed(1));
  return `${processors.length} × ${processors[0]?.model ?? 'processor'}, load ${load.join(' ')}, Node ${process.version}`;
}

async function runBenches(options: BenchOptions, write: (text: string) => void): Promise<BenchReport[]> {
  const interrupt = Promise.withResolvers<never>();
  // also when nothing waits for it at that moment
  interrupt.promise.catch(() => undefined);
  const onSignal = () => interrupt.reject(new Error('interrupted'));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const folder = await takeWorkFolder();
  const processes = await openProcessGroup();
  const reports: BenchReport[] = [];
  try {
    for (const name of options.names) {
      const run = await benches[name]();
      const say = (message: string) => void process.stderr.write(`  ${name}: ${message}\n`);
      const work = run({ ...options, folder: join(folder, name), processes, say });
      const report = await Promise.race([work, interrupt.promise]);
      reports.push(report);
      write(render(report));
    }
    return reports;
  } finally {
    await processes.stopAll();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function main(options: BenchOptions): Promise<number> {
  const write = (text: string) => void (options.json ? process.stderr : process.stdout).write(text);
  const about = machine();
  write(`${about}\n`);
  const reports = await runBenches(options, write);
  const goals = reports.flatMap((report) => report.goals.map((goal) => ({ bench: report.name, ...goal })));
  const missed = goals.filter((goal) => !isMet(goal));
  write(`\n${goals.length - missed.length} of ${goals.length} goals met (${machine()})\n`);
  for (const { bench, what } of missed) write(`MISSED  ${bench}: ${what}\n`);
  if (options.json) {
    const shown = reports.map((report) => ({
      ...report,
      goals: report.goals.map((goal) => ({ ...goal, isMet: isMet(goal) })),
    }));
    process.stdout.write(`${JSON.stringify({ machine: about, benches: shown }, null, 2)}\n`);
  }
  return options.strict && missed.length > 0 ? 1 : 0;
}

function commandLine(): BenchOptions | 'help' | 'wrong' {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\nSee npm run bench -- --help\n`);
    return 'wrong';
  }
}

const options = commandLine();
if (options === 'help') process.stdout.write(usage);
else if (options === 'wrong') process.exitCode = 2;
else {
  try {
    process.exitCode = await main(options);
  } catch (error) {
    const text = error instanceof Error ? (process.env['DEBUG'] ? error.stack : error.message) : String(error);
    process.stderr.write(`${text}\n`);
    // what an interrupted bench still runs ends with this process
    process.exit(text === 'interrupted' ? 130 : 1);
  }
}
