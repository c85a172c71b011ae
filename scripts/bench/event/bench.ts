import { mkdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { findProgram } from '#shared/sandbox/packages.ts';
import type { RunningProcess } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { untilTrue } from '../conditions.ts';
import type { BenchReport } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio } from '../statistics.ts';
import { processorTimeMs, type Surroundings } from '../surroundings.ts';
import { body, headers } from './event.ts';
import { openLoad } from './load.ts';
import { type PartTimes, timeParts } from './parts.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const hosts = {
  'bare node:http': [file('./servers/bare.ts')],
  'serve()': [file('./servers/serve.ts')],
  'functions-framework': [
    `${root}node_modules/@google-cloud/functions-framework/build/src/main.js`,
    '--target=bench',
    '--signature-type=cloudevent',
    `--source=${file('./servers/framework.ts')}`,
  ],
} as const;
type HostName = keyof typeof hosts;

/** Long enough for the compiler, short enough for many rounds. */
const warmUpSeconds = 2;
const roundSeconds = 3;
const frameworkGoal = 1.7;

type Sample = { perSecond: number; cpuUs: number; p50Ms: number; p99Ms: number };

/** Events per second of three hosts with a handler that does nothing. */
export async function benchEvent(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 5;
  await mkdir(surroundings.folder, { recursive: true });
  const pins = await openPins();
  const load = await openLoad({ folder: surroundings.folder, pin: pins.client });
  const started: RunningProcess[] = [];
  const start = async (name: HostName) => {
    const host = await startHost(name, { ...surroundings, pin: pins.server });
    started.push(host.process);
    return host;
  };
  try {
    const running = {
      bare: await start('bare node:http'),
      ours: await start('serve()'),
      framework: await start('functions-framework'),
    };
    const measure = async (host: Host, seconds: number): Promise<Sample> => {
      const before = await processorTimeMs(host.process.pid);
      const result = await load.run(host.port, { seconds });
      const usedMs = (await processorTimeMs(host.process.pid)) - before;
      const perSecond = result.requests / result.seconds;
      return { perSecond, cpuUs: (usedMs * 1_000) / result.requests, p50Ms: result.p50Ms, p99Ms: result.p99Ms };
    };
    for (const host of Object.values(running)) await measure(host, warmUpSeconds);
    const samples = await interleave(
      rounds,
      {
        bare: () => measure(running.bare, roundSeconds),
        ours: () => measure(running.ours, roundSeconds),
        framework: () => measure(running.framework, roundSeconds),
      },
      (round) => surroundings.say(`round ${round + 1} of ${rounds}`),
    );
    const about = `${load.about}; ${pins.about}; ${body.length} bytes of data, ${rounds} rounds of ${roundSeconds} s`;
    return report(samples, { about, parts: await timeParts(rounds) });
  } finally {
    await Promise.all(started.map((host) => host.stop({ signal: 'SIGKILL' })));
  }
}

type Host = { process: RunningProcess; port: number };

async function startHost(name: HostName, options: Surroundings & { pin: readonly string[] }): Promise<Host> {
  const port = await freePort();
  const [command = '', ...args] = [...options.pin, process.execPath, ...hosts[name]];
  const running = await options.processes.start({
    name,
    command,
    args,
    cwd: root,
    env: { PORT: String(port), NODE_ENV: 'production', PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    logFile: `${options.folder}/${name.replaceAll(/[^a-z]+/g, '-')}.log`,
  });
  await untilTrue(`${name} to answer an event with 204`, () => answers204(port), { timeoutMs: 20_000, everyMs: 50 });
  return { process: running, port };
}

async function answers204(port: number): Promise<boolean> {
  const answer = await request(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body });
  await answer.body.dump();
  return answer.statusCode === 204;
}

/** Host and load on a processor each, where there are two and `taskset` is installed. */
async function openPins(): Promise<{ server: string[]; client: string[]; about: string }> {
  const taskset = await findProgram('taskset');
  if (taskset === undefined || cpus().length < 2) return { server: [], client: [], about: 'not pinned to processors' };
  return { server: [taskset, '-c', '0'], client: [taskset, '-c', '1'], about: 'host on processor 0, load on 1' };
}

function report(
  samples: Record<'bare' | 'ours' | 'framework', Sample[]>,
  { about, parts }: { about: string; parts: PartTimes },
): BenchReport {
  const of = (arm: keyof typeof samples, field: keyof Sample) => samples[arm].map((sample) => sample[field]);
  const perSecond = (arm: keyof typeof samples) => of(arm, 'perSecond');
  const row = (name: HostName, arm: keyof typeof samples) => [
    name,
    median(perSecond(arm)),
    medianRatio(perSecond(arm), perSecond('bare')),
    medianRatio(perSecond(arm), perSecond('framework')),
    median(of(arm, 'cpuUs')),
    medianRatio(of('framework', 'cpuUs'), of(arm, 'cpuUs')),
    median(of(arm, 'p50Ms')),
    median(of(arm, 'p99Ms')),
  ];
  const wholeUs = median(of('ours', 'cpuUs'));
  const part = (name: string, us: number) => [name, us, `${((us / wholeUs) * 100).toFixed(0)} %`];
  return {
    name: 'event',
    about: `hosts of a handler without I/O. ${about}.`,
    tables: [
      {
        title: 'medians; ratios are medians of the rounds',
        columns: ['host', 'events/s', '× bare', '× framework', 'CPU µs/event', 'framework ÷', 'p50 ms', 'p99 ms'],
        rows: [row('bare node:http', 'bare'), row('serve()', 'ours'), row('functions-framework', 'framework')],
      },
      {
        title: 'processor time of reading one event, timed alone, as a part of all that serve() takes for it',
        columns: ['part', 'µs/event', 'of serve()'],
        rows: [
          part('cloudevents: new CloudEvent with its check, used by receive()', parts.sdkBuild),
          part('receive(): the strict layer, the SDK in it', parts.receive),
          part('receive() and the schema of the type', parts.receiveAndParse),
          part('cloudevents: HTTP.toEvent, not used; for comparison', parts.sdkToEvent),
        ],
      },
    ],
    goals: [
      {
        what: "serve() against functions-framework's CloudEvent host, events/s",
        measured: medianRatio(perSecond('ours'), perSecond('framework')),
        limit: frameworkGoal,
        unit: 'x',
        is: 'at least',
      },
    ],
    notes: [
      'The ratio of processor times (framework ÷) holds on a busy machine, where events/s also tell of other work.',
      'serve() checks the data against the schema of its type and counts metrics; the other two hosts check nothing.',
    ],
  };
}
