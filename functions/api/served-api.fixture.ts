import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { afterAll, beforeAll } from 'vitest';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { openCache } from '#shared/adapters/redis/cache.ts';
import { type Principal, type Role, scopesOfRole } from '#shared/domain/access/principal.ts';
import { ringKeyWrapper } from '#shared/domain/backup/key-ring.ts';
import { Failure } from '#shared/domain/failure.ts';
import { type Log, openLog } from '#shared/runtime/log.ts';
import { type Metrics, makeMetrics } from '#shared/runtime/metrics.ts';
import { type Served, serve } from '#shared/runtime/serve.ts';
import { databaseOfThisFile, type FreshDatabase } from '#shared/testing/databases.ts';
import { patient } from '#shared/testing/platform.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { parseStrictly } from '#shared/testing/strict-fields.ts';
import { apiHandler } from './app.ts';
import type { AccessPorts, ApiPorts } from './ports.ts';
import type { Route } from './route.ts';
import { routesOf } from './routes.ts';

/** Who asks in a test, given as the bearer token: a role, or `customer:<id>` for one of another customer than c-1. */
export type Caller = 'admin' | 'support' | 'customer' | `customer:${string}` | 'service';

export type ServedApi = {
  url: string;
  database: Database;
  ports: ApiPorts;
  metrics: Metrics;
  /** How often the outbox was flushed. */
  readonly flushes: number;
  /** Asks as that caller; a body given as a value is sent as JSON. */
  ask(caller: Caller | 'nobody', method: string, path: string, options?: AskOptions): Promise<Asked>;
};

export type AskOptions = { body?: unknown; headers?: Readonly<Record<string, string>> };

/** `body` is parsed where it is JSON, and refuses to be asked for what is not in it. */
export type Asked = { status: number; headers: Headers; text: string; body: ReturnType<typeof parseStrictly> };

export function principalOf(caller: Caller): Principal {
  const [word = '', customer = 'c-1'] = caller.split(':');
  const role = word as Role;
  const customerId = role === 'customer' ? customer : null;
  return {
    kind: role === 'service' ? 'service' : 'user',
    id: `test-${word}`,
    role,
    customerId,
    scopes: scopesOfRole[role],
  };
}

/** Knows the callers of tests by their tokens, and lets everybody ask as often as he likes. */
export const testAccess: AccessPorts = {
  async authenticate({ authorization }) {
    const caller = /^Bearer ((admin|support|service|customer)(:[a-z0-9-]+)?)$/.exec(authorization ?? '')?.[1];
    if (caller === undefined) throw new Failure('unauthenticated', 'Send a bearer token.');
    return principalOf(caller as Caller);
  },
  limit: async () => ({ isAllowed: true, limit: 1_000, remaining: 999, retryAfterMs: 0 }),
};

/**
 * The API on a port of its own, against a database of this file's own through PgBouncer, and the run's Redis. Call it at
 * the top of the file. `with`: other access, more routes, or ports in place of those that are made here.
 */
export function apiOfThisFile(
  options: {
    made?: () => FreshDatabase;
    access?: (ports: ApiPorts) => AccessPorts;
    routes?: (ports: ApiPorts) => Route[];
    ports?: (ports: ApiPorts) => Partial<ApiPorts>;
    slowMs?: number;
    log?: Log;
    /** To the database. Default: as many as a function has. */
    connections?: number;
    /** Where Redis is, instead of the run's own. */
    redis?: () => { host: string; port: number };
    /** How long the process keeps copies of its own. Default: as the API. */
    localTtlMs?: number;
  } = {},
): () => ServedApi {
  const made = options.made ?? databaseOfThisFile();
  let api: ServedApi | undefined;
  let end: () => Promise<void> = async () => undefined;

  beforeAll(async () => {
    const log = options.log ?? openLog({ name: 'api', level: 'silent' });
    const metrics = makeMetrics({ functionName: 'api', withNodeMetrics: false });
    const opened = openTestDatabase(made(), options.connections);
    // where the database is taken away, the waiting is as in production
    const database = options.made === undefined ? patient(opened) : opened;
    const cache = openCache({
      address: { ...sharedServers().redis, ...options.redis?.() },
      namespace: `api-${randomBytes(4).toString('hex')}`,
      log,
      onResult: metrics.countCacheRead,
      // tests say what is in the cache; where Redis is taken away, the waiting is as in production
      ...(options.redis === undefined ? { patienceMs: 10_000 } : {}),
      ...(options.localTtlMs === undefined ? {} : { localTtlMs: options.localTtlMs }),
    });
    let flushes = 0;
    const draining = new AbortController();
    const own: ApiPorts = {
      database,
      cache,
      log,
      eventSource: 'urn:odoo-fleet',
      defaults: { imageId: 'odoo-19', clusterId: 'default', language: 'en_US' },
      draining: draining.signal,
      // nobody listens there
      replay: {
        functionUrl: 'http://127.0.0.1:9/{function}',
        functions: [],
        brokerUrl: 'http://127.0.0.1:9/',
        resend: async () => ({ reason: 'nobody listens' }),
      },
      isRedisReachable: cache.isReachable,
      resolver: { texts: async () => [] },
      forgetKey: () => undefined,
      webhooks: { secrets: testWebhookSecrets, targets: 'public' },
      flush: async () => {
        flushes += 1;
      },
    };
    const ports = { ...own, ...options.ports?.(own) };
    const routes = [...routesOf(ports), ...(options.routes?.(ports) ?? [])];
    const handler = apiHandler({
      routes,
      access: options.access?.(ports) ?? testAccess,
      log,
      metrics,
      settle: () => cache.settle(1_000),
      ...(options.slowMs === undefined ? {} : { slowMs: options.slowMs }),
    });
    const served: Served = await serve(handler, { port: 0, host: '127.0.0.1', log, metrics, drainTimeoutMs: 2_000 });
    const url = `http://127.0.0.1:${served.port}`;
    end = async () => {
      draining.abort();
      await served.drain();
      cache.close();
      await database.end();
    };
    api = {
      url,
      database,
      ports,
      metrics,
      get flushes() {
        return flushes;
      },
      async ask(caller, method, path, asked) {
        const answer = await ask(url, { caller, method, path, ...asked });
        mustBeAsDescribed(answer, { routes, method, path });
        return answer;
      },
    };
  });
  afterAll(() => end());

  return () => {
    if (api === undefined) throw new Error('the API is served in beforeAll: ask for it inside a test');
    return api;
  };
}

const webhookRing = { current: 'k1', keys: new Map([['k1', randomBytes(32)]]) };
const webhookWrapper = ringKeyWrapper(() => webhookRing);
const testWebhookSecrets: ApiPorts['webhooks']['secrets'] = {
  wrap: (secret, instanceId) => webhookWrapper.wrap(secret, { purpose: 'webhook', instanceId }),
};

function openTestDatabase({ database, user, password, pooled }: FreshDatabase, maxConnections = 5): Database {
  return openDatabase({
    driver: 'pg',
    ...pooled,
    database,
    user,
    password,
    applicationName: 'fleet api',
    maxConnections,
    sslMode: 'disable',
    // the statement that meets it reports it
    onError: () => undefined,
  });
}

/** What a route says of its answers must be true of each of them. */
function mustBeAsDescribed(
  { status, body }: Asked,
  { routes, method, path }: { routes: readonly Route[]; method: string; path: string },
): void {
  const { pathname, searchParams } = new URL(path, 'http://x');
  const found = routes.find(
    (one) => one.method === method && new RegExp(`^${one.path.replaceAll(/\{[a-zA-Z]+\}/g, '[^/]+')}$`).test(pathname),
  );
  const schema = found?.responses[status]?.schema;
  if (schema === undefined || body === undefined || searchParams.has('fields')) return;
  const { issues } = v.safeParse(schema, body);
  if (issues === undefined) return;
  const mistakes = issues.map((issue) => `${v.getDotPath(issue) ?? ''}: ${issue.message}`);
  throw new Error(`${method} ${path} answers ${status} otherwise than it says: ${mistakes.join('; ')}`);
}

async function ask(
  url: string,
  {
    caller,
    method,
    path,
    body,
    headers = {},
  }: AskOptions & { caller: Caller | 'nobody'; method: string; path: string },
): Promise<Asked> {
  const answer = await fetch(`${url}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(caller === 'nobody' ? {} : { authorization: `Bearer ${caller}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const isJson = /json/.test(answer.headers.get('content-type') ?? '') && text !== '';
  return { status: answer.status, headers: answer.headers, text, body: isJson ? parseStrictly(text) : undefined };
}
