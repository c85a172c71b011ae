import * as v from 'valibot';
import type { Database } from '#shared/adapters/postgres/database.ts';
import type { ApiPorts } from '../ports.ts';
import { type Route, route } from '../route.ts';

const whole = v.pipe(v.number(), v.integer());

const healthBody = v.strictObject({
  status: v.picklist(['healthy', 'degraded', 'unhealthy']),
  database: v.strictObject({
    isReachable: v.boolean(),
    /** Connections of this process. */
    pool: v.strictObject({ total: whole, idle: whole, waiting: whole, max: whole }),
  }),
  redis: v.strictObject({ isReachable: v.boolean() }),
  /** What waits to be told to the broker; null when it cannot be told. */
  outbox: v.nullable(v.strictObject({ waiting: whole, oldestSeconds: v.number() })),
});

const example = {
  status: 'healthy',
  database: { isReachable: true, pool: { total: 2, idle: 2, waiting: 0, max: 5 } },
  redis: { isReachable: true },
  outbox: { waiting: 0, oldestSeconds: 0 },
};

/** Whoever asks more often is told what was found then: nobody needs to say who he is. */
const keptMs = 1_000;
/** A database that takes longer does not answer. */
const lookMs = 3_000;
/** The tick would have sent it three times by now. */
const outboxLagSeconds = 30;

export function healthRoutes(ports: Pick<ApiPorts, 'database' | 'isRedisReachable'>): Route[] {
  const look = keptFor(keptMs, () => lookAtAll(ports));
  return [
    route({
      method: 'GET',
      path: '/v1/health',
      operationId: 'getHealth',
      summary: 'Whether the platform can answer: its database with the pool of this process, Redis, the outbox.',
      scope: 'anyone',
      limit: 'none',
      responses: {
        200: {
          description: 'It can. `degraded`: without Redis, or events wait for the broker; nothing is lost.',
          schema: healthBody,
          example,
        },
        503: { description: 'It cannot: the database does not answer.', schema: healthBody },
      },
      async handle() {
        const body = await look();
        return body.status === 'unhealthy'
          ? { status: 503, headers: { 'retry-after': '2' }, body }
          : { status: 200, body };
      },
    }),
  ];
}

async function lookAtAll({ database, isRedisReachable }: Pick<ApiPorts, 'database' | 'isRedisReachable'>) {
  const [outbox, isRedisThere] = await Promise.all([orNull(outboxOf(database), lookMs), isRedisReachable()]);
  const isLate = outbox !== null && outbox.oldestSeconds > outboxLagSeconds;
  return {
    status: outbox === null ? 'unhealthy' : isLate || !isRedisThere ? 'degraded' : 'healthy',
    database: { isReachable: outbox !== null, pool: database.stats() },
    redis: { isReachable: isRedisThere },
    outbox,
  };
}

async function outboxOf(database: Database): Promise<{ waiting: number; oldestSeconds: number } | null> {
  try {
    const { rows } = await database.query<{ waiting: number; oldest: number }>(
      `select count(*)::integer as waiting,
         coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8 as oldest
       from outbox where published_at is null`,
    );
    const [found] = rows;
    if (found === undefined) return null;
    return { waiting: found.waiting, oldestSeconds: Math.max(0, Math.round(found.oldest * 10) / 10) };
  } catch {
    // that is the answer; the statement's own failure names our servers
    return null;
  }
}

/** Null where it takes longer: that is an answer, too, and whoever asks for health has little time. */
async function orNull<Value>(look: Promise<Value>, ms: number): Promise<Value | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), ms);
  try {
    return await Promise.race([look, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One look at a time, and none more often than that. */
function keptFor<Value>(ms: number, look: () => Promise<Value>): () => Promise<Value> {
  let kept: { at: number; value: Promise<Value> } | undefined;
  return () => {
    const now = performance.now();
    if (kept === undefined || now - kept.at > ms) kept = { at: now, value: look() };
    return kept.value;
  };
}
