import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterEach, beforeEach } from 'vitest';
import { type Broker, type BrokerOptions, startBroker } from './broker.ts';
import type { BrokerTrigger } from './routing.ts';

// What the tests of the broker share: subscribers that answer as a test wants, and brokers in a folder of the test's own.

export type Received = { id: string; method: string; path: string; headers: IncomingHttpHeaders; body: string };
export type Answerer = (response: ServerResponse, received: Received) => void;

/** `cleanups` run last first after each test. Call it at the top of a test file. */
export function brokerTests() {
  let folder = '';
  let cleanups: (() => Promise<unknown>)[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'broker-'));
    cleanups = [() => rm(folder, { recursive: true, force: true })];
  });
  afterEach(async () => {
    for (const cleanup of cleanups.toReversed()) await cleanup();
  });

  async function subscriber(answer: Answerer): Promise<{ url: string; received: Received[]; server: Server }> {
    const received: Received[] = [];
    const server = createServer((incoming, response) => void handle(incoming, response));
    async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
      const one = {
        id: String(incoming.headers['ce-id']),
        method: incoming.method ?? '',
        path: incoming.url ?? '',
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString(),
      };
      received.push(one);
      answer(response, one);
    }
    await once(server.listen(0, '127.0.0.1'), 'listening');
    cleanups.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, received, server };
  }

  async function broker(
    options: Omit<BrokerOptions, 'folder' | 'subscriberUrl'> & { urls: Record<string, string>; folder?: string },
  ): Promise<Broker> {
    const { urls, ...rest } = options;
    const started = await startBroker({
      folder,
      subscriberUrl: (name) => urls[name] ?? 'http://127.0.0.1:1/',
      ...rest,
    });
    cleanups.push(() => started.stop());
    return started;
  }

  return { folder: () => folder, subscriber, broker };
}

export const answering =
  (status: number, body = '', headers: Record<string, string> = {}): Answerer =>
  (response) =>
    void response.writeHead(status, headers).end(body);

export function trigger(
  name: string,
  more: Partial<BrokerTrigger> & { retry?: number; timeoutMs?: number } = {},
): BrokerTrigger {
  const { retry = 2, timeoutMs = 20_000, ...rest } = more;
  return {
    name,
    broker: 'fleet',
    filterAttributes: {},
    subscriber: name,
    parallelism: undefined,
    delivery: { retry, backoff: { policy: 'exponential', delayMs: 5 }, timeoutMs, deadLetterSink: 'dead-letter' },
    ...rest,
  };
}

export async function publish(url: string, id: string, attributes: Record<string, string> = {}): Promise<number> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  for (const [name, value] of Object.entries({ specversion: '1.0', source: '/s', type: 't', id, ...attributes })) {
    headers[`ce-${name}`] = value;
  }
  const { statusCode, body } = await request(url, { method: 'POST', headers, body: '{}' });
  await body.dump();
  return statusCode;
}
