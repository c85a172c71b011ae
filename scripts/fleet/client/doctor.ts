import { asFailure } from '#shared/domain/failure.ts';
import { table } from '../screen.ts';
import type { Answer, Api } from './api.ts';
import type { Definition, Result } from './command.ts';
import { partsOfFleet } from './doctor-fleet.ts';
import { type ExitCode, exitCodeOf, failureOf } from './failures.ts';

/** One thing that was looked at, and what to do where it is not well. */
export type Finding = {
  what: string;
  state: 'ok' | 'warning' | 'failed';
  text: string;
  remedy?: string;
  exitCode?: ExitCode;
};

type Health = {
  database: { isReachable: boolean; pool: { total: number; idle: number; waiting: number; max: number } };
  redis: { isReachable: boolean };
  outbox: { waiting: number; oldestSeconds: number } | null;
};

const lagSeconds = 30;
const mostSkewMs = 5_000;
/** The header tells whole seconds. */
const dateStepMs = 1_000;

export const doctor: Definition = {
  usage: 'doctor',
  says: 'looks at everything that is needed, and says what to do about what is not well',
  example: 'doctor',
  async run({ api }): Promise<Result> {
    const findings = await examine(api());
    const lines = table(findings.map(({ what, state, text }) => [state, what, text]));
    const remedies = findings.flatMap(({ what, remedy }) => (remedy === undefined ? [] : [`  ${what}: ${remedy}`]));
    const failed = findings.find(({ state }) => state === 'failed');
    return {
      json: { isWell: failed === undefined, findings: findings.map(({ exitCode: _exitCode, ...one }) => one) },
      lines: remedies.length === 0 ? lines : [...lines, '', 'What to do:', ...remedies],
      exitCode: failed === undefined ? 0 : (failed.exitCode ?? 1),
    };
  },
};

async function examine(api: Api): Promise<Finding[]> {
  const before = Date.now();
  let answer: Answer;
  try {
    answer = await api.look('/v1/health', { isAnonymous: true });
  } catch (caught) {
    const { message } = asFailure(caught);
    const remedy =
      'see that it runs (its readiness in the cluster), that FLEET_URL is right, and that nothing is between.';
    return [{ what: 'API', state: 'failed', text: message, remedy, exitCode: 3 }];
  }
  const afterMs = Date.now();
  const { status, body } = answer;
  if ((status !== 200 && status !== 503) || typeof (body as Partial<Health> | undefined)?.database !== 'object') {
    const text = `${api.host} answers ${status}, and not as the API does`;
    return [{ what: 'API', state: 'failed', text, remedy: "set FLEET_URL to the API's own address.", exitCode: 3 }];
  }
  return [
    { what: 'API', state: 'ok', text: `${api.host} answered in ${afterMs - before} ms` },
    await tokenOf(api),
    ...partsOf(body as Health),
    ...(await partsOfFleet(api)),
    clockOf(answer, { before, afterMs }),
  ];
}

async function tokenOf(api: Api): Promise<Finding> {
  const what = 'token';
  try {
    const { status, headers, body } = await api.look('/v1/instances?limit=1');
    if (status === 200) return { what, state: 'ok', text: 'is taken' };
    const failure = failureOf({ status, body, retryAfter: headers['retry-after'], host: api.host });
    const [text = '', ...rest] = failure.message.split('\n');
    if (status === 403)
      return { what, state: 'warning', text: 'is taken, but may not list instances', remedy: rest.join(' ') };
    if (status === 429) return { what, state: 'warning', text, remedy: rest.join(' ') };
    const exitCode = exitCodeOf(failure);
    return { what, state: 'failed', text, remedy: rest.join(' ') || 'see the log of the API.', exitCode };
  } catch (caught) {
    const { message } = asFailure(caught);
    return { what, state: 'failed', text: message, remedy: 'try again.', exitCode: 3 };
  }
}

function partsOf({ database, redis, outbox }: Health): Finding[] {
  const { pool } = database;
  const connections = `${pool.total - pool.idle} of ${pool.max} connections at work, ${pool.waiting} calls wait`;
  const isLate = outbox !== null && outbox.oldestSeconds > lagSeconds;
  const waits =
    outbox === null ? 'is not known' : `${outbox.waiting} events wait, the oldest ${outbox.oldestSeconds} s`;
  return [
    database.isReachable
      ? pool.waiting === 0
        ? { what: 'records', state: 'ok', text: connections }
        : {
            ...({ what: 'records', state: 'warning', text: connections } as const),
            remedy: 'many ask at once: look at slow statements before the pool is made larger.',
          }
      : {
          ...({ what: 'records', state: 'failed', text: 'the database does not answer', exitCode: 3 } as const),
          remedy: 'look at PgBouncer and the PostgreSQL behind it; nothing is accepted until they answer.',
        },
    redis.isReachable
      ? { what: 'Redis', state: 'ok', text: 'answers' }
      : {
          ...({ what: 'Redis', state: 'warning', text: 'does not answer' } as const),
          remedy: 'look at Redis; until then reads are slower and limits count per server. Nothing is lost.',
        },
    outbox !== null && !isLate
      ? { what: 'broker', state: 'ok', text: waits }
      : {
          ...({ what: 'broker', state: outbox === null ? 'failed' : 'warning', text: waits } as const),
          remedy:
            'look at the Broker and its ingress, and whether "reconcile" runs: it sends what waits. Nothing is lost.',
        },
  ];
}

function clockOf({ headers }: Answer, { before, afterMs }: { before: number; afterMs: number }): Finding {
  const what = 'clock';
  const theirs = Date.parse(headers['date'] ?? '');
  if (Number.isNaN(theirs)) return { what, state: 'warning', text: 'the API does not say what time it is' };
  const behind = theirs - afterMs;
  const ahead = before - (theirs + dateStepMs);
  const skewMs = Math.max(behind, ahead, 0);
  if (skewMs <= mostSkewMs) return { what, state: 'ok', text: 'is the same as of the API' };
  const text = `this machine is ${Math.round(skewMs / 1_000)} s ${ahead > behind ? 'ahead of' : 'behind'} the API`;
  return { what, state: 'warning', text, remedy: 'set the clocks by NTP: tokens count or end at wrong times.' };
}
