import type { Database } from '#shared/adapters/postgres/database.ts';
import type { Publish } from '#shared/runtime/outbox.ts';
import { eventsOfProcess, type OwnEvents } from '#shared/runtime/own-events.ts';
import type { BenchReport } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio, percentile } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { checkRows } from './check.ts';
import { driveCycle, driveSome, inFlight, openObserve, type Send } from './drive.ts';
import { openPgbench } from './pgbench.ts';
import { processorTimeOfAllMs } from './processor-time.ts';
import { captureScripts } from './statements.ts';
import { instances, openStatusWorld, pgbenchId, type StatusWorld } from './world.ts';

/** Transactions of each of pgbench's clients; a number and not a time, since a busy machine takes seconds to let them in. */
const perClient = { events: 20, updates: 60 };
/** Enough for a second or two. */
const eventsWithConnections = 300;
/** One for the batch, one for the outbox; the manifest of `observe` says the same. */
const connections = 2;

const bareUpdate = {
  name: 'bare-update',
  text: `\\set n random(0, ${instances - 1})\n\\set id ${pgbenchId}\nupdate instances set status_reason = 'bench' where id = ':id';\n`,
};

type Sample = { perSecond: number; p50Ms: number; p95Ms: number; cpuUs: number };
type Arm = 'observe' | 'published' | 'pgbench' | 'fresh' | 'bare';
type Samples = Record<Arm, Sample[]>;

/** Observations per second through the function's handler, against the same statements one event at a time. */
export async function benchStatus(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 3;
  const world = await openStatusWorld(surroundings);
  const database = world.open('fleet', connections);
  try {
    const pgbench = await openPgbench(world, surroundings.folder);
    const scripts = await captureFrom(world);
    const observe = openObserve(database);
    const own = publishing(database);
    const published = openObserve(own.database, own.flush);
    const seen: Record<string, number> = {};
    const cycle = async (send: Send): Promise<Sample> => {
      const { sample, driven } = await timed(() => driveCycle(send));
      for (const [outcome, count] of Object.entries(driven.outcomes)) seen[outcome] = (seen[outcome] ?? 0) + count;
      await database.query('update outbox set published_at = clock_timestamp() where published_at is null');
      return sample;
    };
    const pgbenchArm = async (run: Parameters<typeof pgbench.run>[0], times: number) =>
      (await timed(() => pgbench.run(run, { perClient: times }))).sample;
    await cycle(observe);
    await world.takeServerConnections('fleet');
    const samples: Samples = await interleave(
      rounds,
      {
        observe: () => cycle(observe),
        pgbench: () => pgbenchArm(scripts, perClient.events),
        fresh: async () => (await timed(() => driveSome(aConnectionEach(world), eventsWithConnections))).sample,
        published: () => cycle(published),
        bare: () => pgbenchArm([bareUpdate], perClient.updates),
      },
      (round) => surroundings.say(`round ${round + 1} of ${rounds}`),
    );
    const serverConnections = await world.takeServerConnections('fleet');
    const checked = await checkRows(database, { cycles: 1 + 2 * rounds, outcomes: seen });
    return report(samples, { rounds, serverConnections, checked, version: world.version });
  } finally {
    await database.end();
    await world.stop();
  }
}

async function captureFrom(world: StatusWorld) {
  const database = world.open('rival', 1);
  try {
    return await captureScripts(database);
  } finally {
    await database.end();
  }
}

/** The outbox with a broker that takes everything at once. */
function publishing(database: Database): OwnEvents {
  const publish: Publish = async (events) => ({ published: events.map(({ id }) => id), failed: [] });
  const warn = (cause: unknown, text?: string) => {
    throw new Error(text, { cause });
  };
  return eventsOfProcess({ database, publish, log: { warn } });
}

/** As a function without a pool does it. */
function aConnectionEach(world: StatusWorld): Send {
  return async (request) => {
    const database = world.open('rival', 1);
    try {
      return await openObserve(database)(request);
    } finally {
      await database.end();
    }
  };
}

/** With the processor time per event of all that took part: load, function or pgbench, PgBouncer and PostgreSQL. */
async function timed<Run extends { perSecond: number; latenciesMs: number[] }>(
  run: () => Promise<Run>,
): Promise<{ sample: Sample; driven: Run }> {
  const before = await processorTimeOfAllMs();
  const driven = await run();
  const usedMs = (await processorTimeOfAllMs()) - before;
  const { perSecond, latenciesMs } = driven;
  const [p50Ms, p95Ms] = [percentile(latenciesMs, 0.5), percentile(latenciesMs, 0.95)];
  return { driven, sample: { perSecond, p50Ms, p95Ms, cpuUs: (usedMs * 1_000) / latenciesMs.length } };
}

function report(
  samples: Samples,
  found: { rounds: number; serverConnections: number; checked: string; version: string },
): BenchReport {
  const of = (arm: Arm, field: keyof Sample) => samples[arm].map((sample) => sample[field]);
  const ratio = (arm: Arm, other: Arm, field: 'perSecond' | 'p95Ms') => medianRatio(of(arm, field), of(other, field));
  const row = (name: string, arm: Arm) => [
    name,
    median(of(arm, 'perSecond')),
    ratio(arm, 'pgbench', 'perSecond'),
    median(of(arm, 'p50Ms')),
    median(of(arm, 'p95Ms')),
    ratio(arm, 'pgbench', 'p95Ms'),
    median(of(arm, 'cpuUs')),
    medianRatio(of(arm, 'cpuUs'), of('observe', 'cpuUs')),
  ];
  return {
    name: 'status',
    about:
      `events of Deployments through observe's handler, ${inFlight} in flight, ${instances} instances, PostgreSQL ` +
      `${found.version} that waits for its disk, PgBouncer in transaction mode, ${found.rounds} rounds.`,
    tables: [
      {
        title: 'medians; ratios are medians of the rounds',
        columns: ['arm', 'events/s', '× pgbench', 'p50 ms', 'p95 ms', '× pgbench', 'CPU µs/event', '× observe'],
        rows: [
          row(`observe, ${connections} connections`, 'observe'),
          row('observe, its outbox published before the answer', 'published'),
          row('pgbench, the same statements, an event per transaction', 'pgbench'),
          row('the same, a connection per event', 'fresh'),
          row('pgbench, a bare UPDATE by primary key', 'bare'),
        ],
      },
    ],
    goals: [
      goal('observe against pgbench, p95', ratio('observe', 'pgbench', 'p95Ms'), { limit: 1, is: 'at most' }),
      goal('observe against pgbench, events/s', ratio('observe', 'pgbench', 'perSecond'), { limit: 2, is: 'at least' }),
      goal('observe against a connection per event, events/s', ratio('observe', 'fresh', 'perSecond'), {
        limit: 40,
        is: 'at least',
      }),
      goal('server connections of observe', found.serverConnections, { limit: connections, is: 'at most' }),
    ],
    notes: [
      found.checked,
      'A third each: good news (inbox, stream, status, outbox), bad news noted (inbox, stream, note), bad news believed.',
      "pgbench's statements are those the function sent for one event alone, recorded at the driver and sent by the simple protocol.",
      'On a busy machine an arm of many processes gets more of the processors than one of few; processor times are not changed by that.',
      'The UPDATE of one column is less work than an event; it shows what a statement costs here.',
    ],
  };
}

function goal(what: string, measured: number, { limit, is }: { limit: number; is: 'at most' | 'at least' }) {
  return { what, measured, limit, unit: 'x', is } as const;
}
