import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { BenchReport } from '../report.ts';
import { interleave } from '../rounds.ts';
import { median, medianRatio, percentile } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { bareInsert, openWebhookWorld } from './world.ts';

const perSecond = 200;
const roundSeconds = 3;
const goalMs = 10;

type Sample = { p50Ms: number; p95Ms: number; p99Ms: number };

/** How long a notification of Kill Bill takes until it is kept and answered, against the INSERT alone. */
export async function benchWebhook(surroundings: Surroundings): Promise<BenchReport> {
  const rounds = surroundings.rounds ?? 5;
  const world = await openWebhookWorld(surroundings);
  const notify = () => world.post(JSON.stringify(notification()));
  const insert = () => bareInsert(world.database);
  try {
    await paced(notify);
    await paced(insert);
    const samples = await interleave(rounds, { insert: () => paced(insert), webhook: () => paced(notify) }, (round) =>
      surroundings.say(`round ${round + 1} of ${rounds}`),
    );
    const published = world.published();
    const sent = (rounds + 1) * perSecond * roundSeconds;
    return report(samples, {
      rounds,
      note: `${sent} notifications of as many accounts; ${published} events reached the broker.`,
    });
  } finally {
    await world.stop();
  }
}

/** As Kill Bill writes it; each of an account of its own, so that each asks for a look. */
function notification(): object {
  const accountId = randomUUID();
  const subscription = { objectType: 'SUBSCRIPTION', objectId: randomUUID() };
  return { eventType: 'SUBSCRIPTION_CREATION', accountId, ...subscription, metaData: '{"actionType":"EFFECTIVE"}' };
}

/** Starts calls at a steady rate, whether the ones before have ended or not; times count from when each was due. */
async function paced(call: () => Promise<void>): Promise<Sample> {
  const began = performance.now();
  const calls: Promise<number>[] = [];
  for (let number = 0; number < perSecond * roundSeconds; number += 1) {
    const dueMs = began + (number * 1_000) / perSecond;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const startedMs = Math.max(dueMs, performance.now() - timerSlackMs);
    calls.push(call().then(() => performance.now() - startedMs));
  }
  const times = await Promise.all(calls);
  return { p50Ms: percentile(times, 0.5), p95Ms: percentile(times, 0.95), p99Ms: percentile(times, 0.99) };
}

/** Timers of Node come up to so much late; that is no time of what is measured. */
const timerSlackMs = 1;

function report(
  { insert, webhook }: Record<'insert' | 'webhook', Sample[]>,
  { rounds, note }: { rounds: number; note: string },
): BenchReport {
  const of = (samples: Sample[], field: keyof Sample) => samples.map((sample) => sample[field]);
  const row = (name: string, samples: Sample[]) => [
    name,
    median(of(samples, 'p50Ms')),
    median(of(samples, 'p95Ms')),
    medianRatio(of(samples, 'p95Ms'), of(insert, 'p95Ms')),
    median(of(samples, 'p99Ms')),
  ];
  return {
    name: 'webhook',
    about: `notifications of Kill Bill at ${perSecond}/s, ${rounds} rounds of ${roundSeconds} s; PostgreSQL waits for its disk.`,
    tables: [
      {
        title: 'ms; medians of the rounds',
        columns: ['arm', 'p50', 'p95', '×', 'p99'],
        rows: [
          row('the INSERT alone, through PgBouncer', insert),
          row('accepted, stored, published, answered', webhook),
        ],
      },
    ],
    goals: [
      {
        what: 'p95 of a notification, accepted and stored',
        measured: median(of(webhook, 'p95Ms')),
        limit: goalMs,
        unit: 'ms',
        is: 'at most',
      },
    ],
    notes: [note],
  };
}
