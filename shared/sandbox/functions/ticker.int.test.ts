import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { startTicker, type Ticker, type TickerOptions } from './ticker.ts';

let server: Server;
let ticker: Ticker | undefined;

afterEach(async () => {
  await ticker?.stop();
  server.closeAllConnections();
  server.close();
});

async function tick(answer: RequestListener, options: Partial<TickerOptions> = {}): Promise<void> {
  server = createServer(answer);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}/reconcile`;
  const source = '/apis/v1/namespaces/odoo-fleet/pingsources/reconcile';
  ticker = startTicker({ everyMs: 50, jitterMs: 5, target, source, ...options });
}

test('every period one event arrives, each with an id of its own, straight at its target', async () => {
  const received: { url: string | undefined; headers: IncomingHttpHeaders }[] = [];
  await tick(({ url, headers }, response) => {
    received.push({ url, headers });
    response.writeHead(204).end();
  });
  await vi.waitFor(() => expect(received.length).toBeGreaterThanOrEqual(3), 15_000);
  expect(received[0]).toMatchObject({
    url: '/reconcile',
    headers: {
      'ce-type': 'dev.knative.sources.ping',
      'ce-source': '/apis/v1/namespaces/odoo-fleet/pingsources/reconcile',
      'content-type': 'application/json',
      'content-length': '2',
    },
  });
  expect(new Set(received.map(({ headers }) => headers['ce-id'])).size).toBe(received.length);
});

test('a tick is tried five times with the same id, then given up and logged', async () => {
  const ids: unknown[] = [];
  const messages: string[] = [];
  await tick(
    ({ headers }, response) => {
      ids.push(headers['ce-id']);
      response.writeHead(503).end();
    },
    { everyMs: 2000, log: (message, { reason }) => messages.push(`${message} (${String(reason)})`) },
  );
  await vi.waitFor(() => expect(messages).toHaveLength(1), 15_000);
  // of a busy machine the next tick's may be among them
  expect(ids.filter((id) => id === ids[0])).toHaveLength(5);
  expect(messages[0]).toMatch(/tick lost.*\(503\)/);
});

test('a function that does not answer holds back no tick, and stop does not wait for it', async () => {
  let received = 0;
  await tick(() => {
    received += 1;
  });
  await vi.waitFor(() => expect(received).toBeGreaterThanOrEqual(3), 15_000);
  const startedAt = Date.now();
  await ticker?.stop();
  expect(Date.now() - startedAt).toBeLessThan(30_000);
});
