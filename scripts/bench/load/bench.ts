import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { openApiWorld } from '../api/world.ts';
import type { BenchReport, Goal } from '../report.ts';
import type { Surroundings } from '../surroundings.ts';
import { ensureK6 } from './k6.ts';

const profile = join(import.meta.dirname, '../../load/profile.js');
const instances = 1_000;
/** Of the profile's 10,000 users and 85 minutes: what a small machine has room for beside the servers. */
const scale = { users: 0.005, time: 0.01 };

const times = v.object({ avg: v.number(), med: v.number(), 'p(95)': v.number(), 'p(99)': v.number() });
const summary = v.object({
  metrics: v.object({
    http_req_duration: times,
    api_latency: times,
    http_req_failed: v.object({ value: v.number() }),
    errors: v.object({ value: v.number() }),
    http_reqs: v.object({ count: v.number(), rate: v.number() }),
    writes: v.object({ count: v.number() }),
    orders: v.object({ count: v.number() }),
    vus_max: v.object({ max: v.number() }),
  }),
});
type Summary = v.InferOutput<typeof summary>['metrics'];

/** k6 ends so when it ran to the end and a threshold was missed. */
const missedThreshold = 99;

/** The load profile, scaled down, against the function api on this machine: ramp, spike and soak by k6, with its thresholds. */
export async function benchLoad(surroundings: Surroundings): Promise<BenchReport> {
  const { folder, processes, say } = surroundings;
  const program = await ensureK6(say);
  const world = await openApiWorld(surroundings, instances);
  try {
    const [keys, ids, found] = ['load-keys', 'load-ids', 'load-summary.json'].map((name) => join(folder, name)) as [
      ...[string, string, string],
    ];
    await writeFile(keys, world.keys.join('\n'), { mode: 0o600 });
    await writeFile(ids, world.ids.join('\n'));
    const settings = {
      ...{ URL: world.api.url, KEYS_FILE: keys, INSTANCES_FILE: ids, ORDERS: 'on' },
      ...{ VUS: String(scale.users), TIME: String(scale.time) },
    };
    const given = Object.entries(settings).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    say('ramp, spike and soak, about a minute');
    const started = await processes.start({
      name: 'k6',
      command: program,
      args: ['run', '--quiet', '--no-usage-report', `--summary-export=${found}`, ...given, profile],
      env: { PATH: '/usr/bin:/bin', HOME: folder },
      logFile: join(folder, 'k6.log'),
    });
    const { code } = await started.exited;
    if (code !== 0 && code !== missedThreshold) {
      throw new Error(`k6 ended with ${code}: ${(await readFile(join(folder, 'k6.log'), 'utf8')).slice(-2_000)}`);
    }
    return report(v.parse(summary, JSON.parse(await readFile(found, 'utf8'))).metrics, code === missedThreshold);
  } finally {
    await world.stop();
  }
}

function report(metrics: Summary, isMissed: boolean): BenchReport {
  const { http_req_duration: all, api_latency: known, http_reqs: requests } = metrics;
  const row = (name: string, { avg, med, 'p(95)': p95, 'p(99)': p99 }: Summary['api_latency']) => [
    name,
    avg,
    med,
    p95,
    p99,
  ];
  const goal = (what: string, measured: number, limit: number, unit: Goal['unit']): Goal => ({
    ...{ what, measured, limit, unit, is: 'at most' },
  });
  return {
    name: 'load',
    about: `scripts/load/profile.js at ${100 * scale.users} % of its users and ${100 * scale.time} % of its time, ${instances.toLocaleString('en-US')} instances; users wait 1 to 3 s between requests.`,
    tables: [
      {
        title: 'ms',
        columns: ['', 'mean', 'p50', 'p95', 'p99'],
        rows: [row('all requests', all), row('with a key', known)],
      },
    ],
    goals: [
      goal('p95 of all requests', all['p(95)'], 300, 'ms'),
      goal('p99 of all requests', all['p(99)'], 500, 'ms'),
      goal('p95 of requests with a key', known['p(95)'], 250, 'ms'),
      goal('requests that failed', 100 * metrics.http_req_failed.value, 1, '%'),
      goal('answers that were not what was asked for', 100 * metrics.errors.value, 5, '%'),
    ],
    notes: [
      `${requests.count.toLocaleString('en-US')} requests by up to ${metrics.vus_max.max} users, ${requests.rate.toFixed(1)}/s; ${metrics.writes.count} changes, ${metrics.orders.count} of them new instances.`,
      `k6 itself says that ${isMissed ? 'a threshold was missed' : 'all thresholds were met'}.`,
      'It shows that the profile runs and the thresholds decide; what a cluster carries is learnt on a cluster.',
    ],
  };
}
