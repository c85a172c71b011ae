import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { failureOf, unreached } from './failures.ts';
import type { Access } from './settings.ts';

type Query = Readonly<Record<string, string | undefined>>;

/** An answer of the API, whatever its status. `body` is undefined where it is no JSON. */
export type Answer = { status: number; headers: Readonly<Record<string, string | undefined>>; body: unknown };

/** The API. All but `look` and `stream` throw a Failure for an answer that is no success, and for none. */
export type Api = {
  readonly host: string;
  /** As it is answered. `isAnonymous`: without the token. @throws Failure when there is no answer. */
  look(path: string, options?: { isAnonymous?: boolean }): Promise<Answer>;
  get(path: string, query?: Query): Promise<unknown>;
  /** Asks for something under a key of its own, so that asking again after a lost answer does nothing twice. */
  ask(path: string, body?: unknown, method?: 'POST' | 'PATCH'): Promise<unknown>;
  /** Asks once only: for what the API does not recognise when it comes twice. */
  send(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<unknown>;
  /** Server-sent events. Undefined: they are not to be had now. */
  stream(
    path: string,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Buffer> | undefined>;
  close(): Promise<void>;
};

type Asked = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  body?: unknown;
  headers?: Record<string, string>;
  isAnonymous?: boolean;
  /** May be sent again when nobody has answered. */
  repeats: boolean;
};

const connectMs = 5_000;
const answerMs = 60_000;
/** The API sends something every 15 s. */
const silenceMs = 45_000;

/** One pool of connections, which lasts until `close`. */
export function openApi({ url, token }: Access): Api {
  const { host } = url;
  const prefix = url.pathname.replace(/\/$/, '');
  const pool = new Pool(url.origin, { connections: 4, connect: { timeout: connectMs } });
  const authorization = `Bearer ${token}`;

  async function once({ method, path, body, headers = {}, isAnonymous = false }: Asked): Promise<Answer> {
    const response = await pool.request({
      method,
      path: `${prefix}${path}`,
      headers: {
        accept: 'application/json',
        ...(isAnonymous ? {} : { authorization }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headersTimeout: answerMs,
      bodyTimeout: answerMs,
    });
    const text = await response.body.text();
    return { status: response.statusCode, headers: singles(response.headers), body: parsed(text) };
  }

  async function answered(asked: Asked): Promise<Answer> {
    try {
      return await once(asked).catch((caught) => (asked.repeats ? once(asked) : Promise.reject(caught)));
    } catch (caught) {
      throw unreached(caught, { host, changes: asked.method !== 'GET' });
    }
  }

  async function succeeded(asked: Asked): Promise<unknown> {
    const { status, headers, body } = await answered(asked);
    const isSuccess = status === 204 || (status >= 200 && status < 300 && body !== undefined);
    if (isSuccess) return body;
    throw failureOf({ status, body, retryAfter: headers['retry-after'], host });
  }

  return {
    host,
    look: (path, options) => answered({ method: 'GET', path, repeats: true, ...options }),
    get: (path, query = {}) => succeeded({ method: 'GET', path: `${path}${searchOf(query)}`, repeats: true }),
    ask(path, body, method = 'POST') {
      const headers = { 'idempotency-key': randomUUID() };
      return succeeded({ method, path, body, headers, repeats: true });
    },
    send: (method, path, body) => succeeded({ method, path, body, repeats: false }),
    async stream(path, lastEventId, signal) {
      const response = await pool.request({
        method: 'GET',
        path: `${prefix}${path}`,
        headers: {
          accept: 'text/event-stream',
          authorization,
          ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
        },
        signal,
        headersTimeout: answerMs,
        bodyTimeout: silenceMs,
      });
      if (response.statusCode === 200) return response.body;
      await response.body.dump();
      return undefined;
    },
    close: () => pool.destroy(),
  };
}

function searchOf(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, value);
  return search.size === 0 ? '' : `?${search.toString()}`;
}

function singles(headers: Record<string, string | string[] | undefined>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value?.toString()]));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // what is no JSON is not from the API, and told as that
    return undefined;
  }
}
