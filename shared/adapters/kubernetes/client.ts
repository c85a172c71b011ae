import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Failure } from '#shared/domain/failure.ts';
import { traceAttributes } from '#shared/domain/trace/trace-context.ts';
import { currentContext } from '../tracing/request-context.ts';
import { inSpan } from '../tracing/spans.ts';
import { type AccessOptions, type AccessReader, openAccess, type TlsOptions } from './access.ts';
import { mayRepeat, type Refusal, type Request, refusalFailure, silenceFailure } from './errors.ts';
import { type Kind, pathOf, type Stored } from './kinds.ts';

/** The object after the call, or the server's refusal. */
export type Answer<T> = { object: T } | { refusal: Refusal };

export type Call = {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  kind: Kind;
  namespace: string;
  /** Absent for the collection. */
  name?: string;
  query?: Record<string, string>;
  body?: unknown;
  contentType?: string;
};

/** Counts since the client was opened. */
export type ClientStats = { calls: number; retries: number; connections: number };

export type KubernetesApi = {
  /**
   * Sends one call, again where that is safe, and gives the answer or the refusal (4xx).
   * @throws Failure when no answer came (`unavailable`, `timeout`, `outcome-unknown`) or the caller is not let in.
   */
  send<T>(call: Call): Promise<Answer<T>>;
  /** As `send`, with refusals other than 404 as Failure. */
  read<T extends Stored>(kind: Kind, namespace: string, name: string): Promise<T | undefined>;
  list<T extends Stored>(kind: Kind, namespace: string, query: Record<string, string>): Promise<readonly T[]>;
  /** The failure a refusal of this call means. */
  failure(call: Call, refusal: Refusal): Failure;
  stats(): ClientStats;
  close(): Promise<void>;
};

export type ClientOptions = AccessOptions & {
  /** One try, from sending to the last byte; 6 s, so that a step of 20 s has room for a second and a third. */
  tryTimeoutMs?: number;
  /** All tries of one call. */
  callTimeoutMs?: number;
};

const maxTries = 4;
const firstPauseMs = 100;

/**
 * One client of one API server. Connections are kept, which `@kubernetes/client-node` 2.0.1 does not do: it makes an agent, and
 * with it a TLS connection, for every call. So the calls are ours, on its models.
 */
export function openKubernetesApi(options: ClientOptions): KubernetesApi {
  const access = openAccess(options);
  const pools = openPools();
  const counts = { calls: 0, retries: 0 };
  const { tryTimeoutMs = 6_000, callTimeoutMs = 15_000 } = options;

  function send<T>(call: Call): Promise<Answer<T>> {
    return inSpan(spanOf(call), async (note) => {
      const answer = await sendUntilAnswered<T>(call);
      if ('refusal' in answer) note({ 'http.response.status_code': answer.refusal.status });
      return answer;
    });
  }

  async function sendUntilAnswered<T>(call: Call): Promise<Answer<T>> {
    counts.calls += 1;
    const request = requestOf(call);
    const deadline = performance.now() + callTimeoutMs;
    let isRefresh = false;
    for (let tries = 1; ; tries += 1) {
      const leftMs = deadline - performance.now();
      const outcome: Outcome<T> = await tryOnce<T>(call, {
        access,
        pools,
        isRefresh,
        timeoutMs: Math.min(tryTimeoutMs, leftMs),
      });
      if ('object' in outcome) return outcome;
      const pauseMs = pauseBefore(outcome, { tries, isRefresh });
      if (pauseMs === undefined || performance.now() + pauseMs >= deadline) return endOf(outcome, request);
      isRefresh = 'refusal' in outcome && outcome.refusal.status === 401;
      counts.retries += 1;
      await pause(pauseMs);
    }
  }

  return {
    send,
    async read<T extends Stored>(kind: Kind, namespace: string, name: string) {
      const call: Call = { method: 'GET', kind, namespace, name };
      const answer = await send<T>(call);
      if ('object' in answer) return answer.object;
      if (answer.refusal.status === 404) return undefined;
      throw refusalFailure(answer.refusal, requestOf(call));
    },
    async list<T extends Stored>(kind: Kind, namespace: string, query: Record<string, string>) {
      const call: Call = { method: 'GET', kind, namespace, query };
      const answer = await send<{ items: T[] }>(call);
      if ('object' in answer) return answer.object.items;
      throw refusalFailure(answer.refusal, requestOf(call));
    },
    failure: (call, refusal) => refusalFailure(refusal, requestOf(call)),
    stats: () => ({ ...counts, connections: pools.connections() }),
    close: () => pools.close(),
  };
}

type Outcome<T> = { object: T } | { refusal: Refusal; retryAfterMs: number | undefined } | { silence: unknown };

async function tryOnce<T>(
  call: Call,
  context: { access: AccessReader; pools: Pools; isRefresh: boolean; timeoutMs: number },
): Promise<Outcome<T>> {
  const { origin, headers, tls } = await context.access({ isRefresh: context.isRefresh });
  try {
    const {
      statusCode,
      headers: answered,
      body,
    } = await context.pools.get(origin, tls).request({
      method: call.method,
      path: pathOf(call),
      headers: {
        ...headers,
        ...traceAttributes(currentContext()),
        accept: 'application/json',
        'user-agent': 'odoo-fleet',
        ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
      },
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal: AbortSignal.timeout(Math.max(1, Math.ceil(context.timeoutMs))),
    });
    const text = await body.text();
    // The caller names the kind, and the server answers with it.
    if (statusCode < 300) return { object: JSON.parse(text) as T };
    return { refusal: refusalOf(statusCode, text), retryAfterMs: retryAfterMs(answered['retry-after']) };
  } catch (silence) {
    return { silence };
  }
}

/** How long to wait before the next try, or undefined when there is none. */
function pauseBefore(
  outcome: Exclude<Outcome<unknown>, { object: unknown }>,
  { tries, isRefresh }: { tries: number; isRefresh: boolean },
): number | undefined {
  if ('refusal' in outcome && outcome.refusal.status === 401) return isRefresh ? undefined : 0;
  if ('refusal' in outcome && !mayRepeat(outcome.refusal.status)) return undefined;
  if (tries >= maxTries) return undefined;
  const asked = 'refusal' in outcome ? outcome.retryAfterMs : undefined;
  // Up to half more, so that a fleet of functions does not come back at one moment.
  return (asked ?? firstPauseMs * 4 ** (tries - 1)) * (1 + Math.random() / 2);
}

function endOf<T>(outcome: Exclude<Outcome<T>, { object: T }>, request: Request): Answer<T> {
  if ('silence' in outcome) throw silenceFailure(outcome.silence, request);
  const { refusal } = outcome;
  if (mayRepeat(refusal.status) || refusal.status === 401) throw refusalFailure(refusal, request);
  return { refusal };
}

function refusalOf(status: number, text: string): Refusal {
  try {
    const { reason = '', message = '' } = JSON.parse(text) as { reason?: string; message?: string };
    return { status, reason, message };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { status, reason: '', message: text.slice(0, 200) }; // a proxy in between answers in its own words
  }
}

function retryAfterMs(header: string | string[] | undefined): number | undefined {
  const seconds = Number(header);
  return header !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

function requestOf({ method, kind, name }: Call): Request {
  return {
    method,
    object: name === undefined ? kind.plural : `${kind.plural}/${name}`,
    isSecret: kind.kind === 'Secret',
  };
}

function spanOf({ method, kind, namespace, name }: Call): Parameters<typeof inSpan>[0] {
  return {
    name: `kubernetes ${method} ${kind.plural}`,
    kind: 'client',
    attributes: {
      'http.request.method': method,
      'k8s.namespace.name': namespace,
      ...(name === undefined ? {} : { 'fleet.object': name }),
    },
  };
}

type Pools = { get(origin: string, tls: TlsOptions): Pool; connections(): number; close(): Promise<void> };

/** One pool per origin and certificates: a rotated CA or client certificate gets a new one, the old one drains. */
function openPools(): Pools {
  let current: { key: string; pool: Pool } | undefined;
  let connections = 0;
  const closing = new Set<Promise<void>>();
  return {
    get(origin, tls) {
      const key = JSON.stringify(
        [origin, tls.ca, tls.cert, tls.key, tls.servername, tls.rejectUnauthorized].map(String),
      );
      if (current?.key === key) return current.pool;
      if (current) {
        const closed = current.pool.close().finally(() => closing.delete(closed));
        closing.add(closed);
      }
      const pool = new Pool(origin, {
        connections: 8,
        pipelining: 1,
        allowH2: false,
        // A warm function is called every few seconds or minutes; undici's 4 s would bring back a handshake for each.
        keepAliveTimeout: 60_000,
        connect: { timeout: 3_000, ...tls },
      });
      pool.on('connect', () => {
        connections += 1;
      });
      current = { key, pool };
      return pool;
    },
    connections: () => connections,
    async close() {
      await Promise.all([current?.pool.close(), ...closing]);
      current = undefined;
    },
  };
}
