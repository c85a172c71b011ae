import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
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
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Trigger } from '../manifests.ts';
import { type Broker, type BrokerOptions, startBroker } from './broker.ts';

type Received = { id: string; headers: IncomingHttpHeaders; body: string };
type Answerer = (response: ServerResponse, received: Received) => void;

let folder: string;
let cleanups: (() => Promise<unknown>)[];

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

const answering =
  (status: number, body = ''): Answerer =>
  (response) =>
    void response.writeHead(status).end(body);

function trigger(name: string, more: Partial<Trigger> & { retry?: number; timeoutMs?: number } = {}): Trigger {
  const { retry = 2, timeoutMs = 5000, ...rest } = more;
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

async function broker(
  options: Omit<BrokerOptions, 'folder' | 'subscriberUrl'> & { urls: Record<string, string> },
): Promise<Broker> {
  const { urls, ...rest } = options;
  const started = await startBroker({ folder, subscriberUrl: (name) => urls[name] ?? 'http://127.0.0.1:1/', ...rest });
  cleanups.push(() => started.stop());
  return started;
}

async function publish(url: string, id: string, attributes: Record<string, string> = {}): Promise<number> {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  for (const [name, value] of Object.entries({ specversion: '1.0', source: '/s', type: 't', id, ...attributes })) {
    headers[`ce-${name}`] = value;
  }
  const { statusCode, body } = await request(url, { method: 'POST', headers, body: '{}' });
  await body.dump();
  return statusCode;
}

test('an event reaches exactly the triggers whose attributes all match', async () => {
  const sub = await subscriber(answering(204));
  const urls = { all: `${sub.url}all`, type: `${sub.url}type`, kind: `${sub.url}kind` };
  const { url, idle, stats } = await broker({
    urls,
    triggers: [
      trigger('all'),
      trigger('type', { filterAttributes: { type: 'wanted' } }),
      trigger('kind', { filterAttributes: { type: 'wanted', opkind: 'provision' } }),
    ],
  });
  await publish(url, '1', { type: 'wanted', opkind: 'provision' });
  await publish(url, '2', { type: 'wanted', opkind: 'provisioning' });
  await publish(url, '3', { type: 'Wanted' });
  await idle();
  const delivered = Object.entries(stats().triggers).map(([name, { delivered: count }]) => [name, count]);
  expect(delivered).toEqual([
    ['all', 3],
    ['type', 2],
    ['kind', 1],
  ]);
  expect(stats().accepted).toBe(3);
});

test('what is no CloudEvent, another path and another method are refused with their status', async () => {
  const { url, stats } = await broker({ urls: {}, triggers: [trigger('t')] });
  const status = async (target: string, options: Parameters<typeof request>[1]): Promise<number> => {
    const { statusCode, body } = await request(target, options);
    await body.dump();
    return statusCode;
  };
  const headers = { 'content-type': 'application/cloudevents-batch+json' };
  expect(await status(url, { method: 'POST', body: '{}' })).toBe(400);
  expect(await status(url, { method: 'POST', headers, body: '[]' })).toBe(400);
  expect(await status(`${url}/x`, { method: 'POST', body: '{}' })).toBe(404);
  expect(await status(url, { method: 'GET' })).toBe(405);
  expect(await status(url, { method: 'GET', headers: { 'user-agent': 'kube-probe/1.34' } })).toBe(200);
  expect(await status(url, { method: 'POST', body: Buffer.alloc(16 * 1024 * 1024 + 1) })).toBe(413);
  expect(stats()).toMatchObject({ accepted: 0, refused: 5 });
});

test('an event that no trigger wants is accepted and gone', async () => {
  const { url, idle, stats } = await broker({
    urls: {},
    triggers: [trigger('t', { filterAttributes: { type: 'other' } })],
  });
  expect(await publish(url, '1')).toBe(202);
  await idle();
  expect(stats().triggers['t']).toMatchObject({ accepted: 0 });
});

test('a failing subscriber gets every attempt, then the dead letter sink gets the event with the reason', async () => {
  const sub = await subscriber(answering(503));
  const sink = await subscriber(answering(204));
  const { url, idle, stats } = await broker({
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t', { retry: 3 })],
  });
  await publish(url, '1', { opkind: 'provision' });
  await idle();
  expect(sub.received).toHaveLength(4);
  expect(sink.received[0]?.headers).toMatchObject({
    'ce-id': '1',
    'ce-opkind': 'provision',
    'ce-knativeerrordest': sub.url,
    'ce-knativeerrorcode': '503',
    'content-type': 'application/json',
  });
  expect(sink.received[0]?.headers['ce-knativeerrordata']).toBeUndefined();
  expect(stats().triggers['t']).toEqual({
    accepted: 1,
    delivered: 0,
    retried: 3,
    deadLettered: 1,
    lost: 0,
    dropped: 0,
    duplicated: 0,
  });
});

test('a subscriber that recovers gets the event and nothing is dead-lettered', async () => {
  let attempts = 0;
  const sub = await subscriber((response) => void response.writeHead(++attempts < 3 ? 503 : 204).end());
  const { url, idle, stats } = await broker({ urls: { t: sub.url }, triggers: [trigger('t')] });
  await publish(url, '1');
  await idle();
  expect(stats().triggers['t']).toMatchObject({ delivered: 1, retried: 2, deadLettered: 0 });
});

test('a subscriber whose address is not known yet is tried again', async () => {
  const sub = await subscriber(answering(204));
  let asked = 0;
  const started = await startBroker({
    folder,
    triggers: [trigger('t')],
    subscriberUrl: () => {
      asked += 1;
      if (asked < 3) throw new Error('not there yet');
      return sub.url;
    },
  });
  cleanups.push(() => started.stop());
  await publish(started.url, '1');
  await started.idle();
  expect(started.stats().triggers['t']).toMatchObject({ delivered: 1, retried: 2 });
});

test('a port that is taken is an error that names it', async () => {
  const { url } = await broker({ urls: {}, triggers: [] });
  const port = Number(new URL(url).port);
  const other = startBroker({ folder: join(folder, 'other'), port, triggers: [], subscriberUrl: () => '' });
  await expect(other).rejects.toThrow(`the broker cannot listen on 127.0.0.1:${port}`);
});

test('a refusal is acknowledged and lost, and the log says so', async () => {
  const sub = await subscriber(answering(400));
  const messages: string[] = [];
  const { url, idle, stats } = await broker({
    urls: { t: sub.url },
    triggers: [trigger('t')],
    log: (message, facts) => messages.push(`${message} ${JSON.stringify(facts)}`),
  });
  await publish(url, '1');
  await idle();
  expect(sub.received).toHaveLength(1);
  expect(stats().triggers['t']).toMatchObject({ lost: 1, deadLettered: 0 });
  expect(messages.join()).toMatch(/event lost.*"id":"1".*"status":400/);
});

test('without a function for the sink, a dead letter becomes a file and the log says so', async () => {
  const messages: string[] = [];
  const { url, idle } = await broker({
    urls: {},
    triggers: [trigger('t', { retry: 0 })],
    log: (message) => messages.push(message),
  });
  await publish(url, '1');
  await idle();
  const files = await readdir(join(folder, 'dead-letters'));
  expect(files).toHaveLength(1);
  const text = await readFile(join(folder, 'dead-letters', files[0] ?? ''), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ id: '1', data: {}, knativeerrorcode: '-1' });
  expect(messages).toContain('dead letter kept as a file: no function is dead-letter yet');
});

test('a timeout starts a second attempt while the first still runs', async () => {
  const open: ServerResponse[] = [];
  const sub = await subscriber((response) => {
    open.push(response);
    if (open.length === 3) response.writeHead(204).end();
  });
  const { url, idle, stats } = await broker({ urls: { t: sub.url }, triggers: [trigger('t', { timeoutMs: 100 })] });
  await publish(url, '1');
  await idle();
  // the handlers of the first two were never told: they could still answer
  expect(open.filter((response) => !response.writableEnded)).toHaveLength(2);
  expect(stats().triggers['t']).toMatchObject({ delivered: 1, retried: 2 });
});

test('a reply that is an event goes back into the broker, any other body is ignored', async () => {
  const reply = { 'ce-specversion': '1.0', 'ce-id': 'r', 'ce-source': '/r', 'ce-type': 'reply' };
  const sub = await subscriber((response, { id }) => {
    if (id === '1') response.writeHead(200, reply).end();
    else response.writeHead(200).end('done');
  });
  const { url, idle, stats } = await broker({
    urls: { asked: sub.url, replied: sub.url },
    triggers: [
      trigger('asked', { filterAttributes: { type: 't' } }),
      trigger('replied', { filterAttributes: { type: 'reply' } }),
    ],
  });
  await publish(url, '1');
  await idle();
  expect(sub.received.map(({ id }) => id)).toEqual(['1', 'r']);
  expect(stats().triggers['replied']).toMatchObject({ delivered: 1, retried: 0 });
});

test('no more than the parallelism are in flight, and at parallelism 1 the order is kept', async () => {
  let inFlight = 0;
  let most = 0;
  const sub = await subscriber((response) => {
    most = Math.max(most, ++inFlight);
    setTimeout(() => {
      inFlight -= 1;
      response.writeHead(204).end();
    }, 5);
  });
  const started = await broker({
    urls: { one: sub.url, three: sub.url },
    triggers: [
      trigger('one', { parallelism: 1, filterAttributes: { type: 'one' } }),
      trigger('three', { parallelism: 3, filterAttributes: { type: 'three' } }),
    ],
  });
  const ids = Array.from({ length: 12 }, (_, n) => String(n));
  for (const id of ids) await publish(started.url, id, { type: 'one' });
  await started.idle();
  expect(sub.received.map(({ id }) => id)).toEqual(ids);
  expect(most).toBe(1);
  await Promise.all(ids.map((id) => publish(started.url, id, { type: 'three' })));
  await started.idle();
  expect(most).toBe(3);
});

test('what a broker accepted before kill -9 is delivered by the next one', async () => {
  const sub = await subscriber(() => undefined);
  const fixture = new URL('broker.fixture.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [fixture, folder, sub.url], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const ids = Array.from({ length: 20 }, (_, n) => String(n));
  const statuses = await Promise.all(ids.map((id) => publish(line.toString().trim(), id)));
  await vi.waitFor(() => expect(sub.received.length).toBe(1));
  child.kill('SIGKILL');
  await exited;
  expect(new Set(statuses)).toEqual(new Set([202]));
  // what the kill can leave: a line that was being written
  await appendFile(join(folder, 'journal.jsonl'), '{"event":{"attributes"');

  const next = await subscriber(answering(204));
  const again = await broker({ urls: { s: next.url }, triggers: [trigger('t', { subscriber: 's' })] });
  await again.idle();
  expect(next.received.map(({ id }) => id).sort()).toEqual(ids.toSorted());
  await again.stop();

  const third = await broker({ urls: { s: next.url }, triggers: [trigger('t', { subscriber: 's' })] });
  await third.idle();
  expect(next.received).toHaveLength(20);
});

test('a dead letter waits for its sink across a restart', async () => {
  const first = await broker({
    urls: {},
    deadLetterUrl: () => 'http://127.0.0.1:1/',
    triggers: [trigger('t', { retry: 0 })].map((one) => ({
      ...one,
      delivery: { ...one.delivery, retry: 2, backoff: { policy: 'linear', delayMs: 100 } },
    })),
  });
  await publish(first.url, '1');
  await vi.waitFor(() => expect(first.stats().triggers['t']?.deadLettered).toBe(1), 5000);
  await first.stop();
  const sink = await subscriber(answering(204));
  const second = await broker({ urls: {}, deadLetterUrl: () => sink.url, triggers: [trigger('t')] });
  await second.idle();
  expect(sink.received.map(({ id }) => id)).toEqual(['1']);
});

test('events of a trigger that is gone are removed at the next start', async () => {
  const first = await broker({ urls: {}, triggers: [trigger('old', { retry: 9 })] });
  await publish(first.url, '1');
  await first.stop();
  const messages: string[] = [];
  const second = await broker({ urls: {}, triggers: [trigger('new')], log: (message) => messages.push(message) });
  await second.idle();
  expect(messages).toContain('event of a Trigger that is gone: removed');
});

test('faults drop, double and delay deliveries, the same ones in every run', async () => {
  const run = async (): Promise<{ order: string[]; counts: unknown }> => {
    const sub = await subscriber(answering(204));
    const started = await startBroker({
      folder: await mkdtemp(join(folder, 'run-')),
      subscriberUrl: () => sub.url,
      triggers: [trigger('t')],
      faults: { dropPercent: 20, duplicatePercent: 20, delayMs: 20, random: 42 },
    });
    for (let n = 0; n < 60; n++) await publish(started.url, String(n));
    await started.idle();
    const counts = started.stats().triggers['t'];
    await started.stop();
    return { order: sub.received.map(({ id }) => id), counts };
  };
  const [first, second] = [await run(), await run()];
  expect(first.order.toSorted()).toEqual(second.order.toSorted());
  expect(first.counts).toEqual(second.counts);
  expect(first.counts).toMatchObject({ accepted: 60, delivered: first.order.length });
  expect(first.order).not.toEqual(first.order.toSorted((a, b) => Number(a) - Number(b)));
});

test('faults can be ended while the broker runs', async () => {
  const sub = await subscriber(answering(204));
  const started = await broker({
    urls: { t: sub.url },
    triggers: [trigger('t')],
    faults: { dropPercent: 100, random: 1 },
  });
  await publish(started.url, '1');
  started.setFaults(undefined);
  await publish(started.url, '2');
  await started.idle();
  expect(sub.received.map(({ id }) => id)).toEqual(['2']);
  expect(started.stats().triggers['t']).toMatchObject({ accepted: 2, dropped: 1, delivered: 1 });
});

test('RabbitMQ: a rollout dead-letters what its dispatcher holds, delivered or not', async () => {
  const sub = await subscriber(() => undefined);
  const sink = await subscriber(answering(204));
  const started = await broker({
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t', { parallelism: 1 })],
  });
  for (const id of ['1', '2', '3']) await publish(started.url, id);
  await vi.waitFor(() => expect(sub.received).toHaveLength(1));
  await started.rollOut();
  await started.idle();
  expect(sub.received).toHaveLength(1);
  expect(sink.received.map(({ id }) => id).sort()).toEqual(['1', '2', '3']);
  expect(sink.received.every(({ headers }) => headers['ce-knativeerrorcode'] === '-1')).toBe(true);
});

test('in memory: the publisher waits for every subscriber, and 4xx goes to the sink with the answer', async () => {
  const sub = await subscriber(answering(400, 'no: 400'));
  const sink = await subscriber(answering(204));
  const started = await broker({
    manners: 'in-memory',
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t')],
  });
  expect(await publish(started.url, '1')).toBe(202);
  // the answer came after the dead letter
  expect(sink.received[0]?.headers).toMatchObject({
    'ce-knativeerrorcode': '400',
    'ce-knativeerrordata': Buffer.from('no: 400').toString('base64'),
  });
  expect(sub.received[0]?.headers).toMatchObject({ prefer: 'reply' });
  expect(sub.received[0]?.headers['ce-knativearrivaltime']).toBeDefined();
});

test('in memory: when the sink fails too the publisher gets 500; asynchronously it gets 202 at once', async () => {
  const failing = await subscriber(answering(500));
  const options = {
    manners: 'in-memory',
    urls: { t: failing.url },
    deadLetterUrl: () => failing.url,
    triggers: [trigger('t', { retry: 1 })],
  } as const;
  const sync = await broker(options);
  expect(await publish(sync.url, '1')).toBe(500);
  const asynchronous = await broker({ ...options, isAsynchronous: true });
  expect(await publish(asynchronous.url, '1')).toBe(202);
});

test('in memory: a publisher that gives up cuts the retries short and nothing is dead-lettered', async () => {
  const sub = await subscriber(answering(503));
  const sink = await subscriber(answering(204));
  const started = await broker({
    manners: 'in-memory',
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t', { retry: 40 })],
  });
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 't' };
  const signal = AbortSignal.timeout(200);
  await expect(request(started.url, { method: 'POST', headers, body: '', signal })).rejects.toThrow();
  await started.idle();
  expect(sub.received.length).toBeGreaterThan(0);
  expect(sub.received.length).toBeLessThan(40);
  expect(sink.received).toHaveLength(0);
});

test('in memory: nothing survives a restart', async () => {
  const stuck = await subscriber(() => undefined);
  const triggers = [trigger('t')];
  const first = await broker({ manners: 'in-memory', isAsynchronous: true, urls: { t: stuck.url }, triggers });
  expect(await publish(first.url, '1')).toBe(202);
  await first.stop();
  const sub = await subscriber(answering(204));
  const second = await broker({ manners: 'in-memory', urls: { t: sub.url }, triggers });
  await second.idle();
  expect(sub.received).toHaveLength(0);
});

test('Kafka: events of one partition key are delivered one after the other, other keys beside them', async () => {
  const inFlight = new Map<string, number>();
  let mostPerKey = 0;
  let mostAtAll = 0;
  const sub = await subscriber((response, { headers }) => {
    const key = String(headers['ce-partitionkey']);
    inFlight.set(key, (inFlight.get(key) ?? 0) + 1);
    mostPerKey = Math.max(mostPerKey, ...inFlight.values());
    mostAtAll = Math.max(
      mostAtAll,
      [...inFlight.values()].reduce((sum, count) => sum + count, 0),
    );
    setTimeout(() => {
      inFlight.set(key, (inFlight.get(key) ?? 0) - 1);
      response.writeHead(204).end();
    }, 20);
  });
  const started = await broker({ manners: 'kafka', urls: { t: sub.url }, triggers: [trigger('t')] });
  const ids = Array.from({ length: 12 }, (_, n) => n);
  for (const n of ids) await publish(started.url, String(n), { partitionkey: `key-${n % 2}` });
  await started.idle();
  expect(mostPerKey).toBe(1);
  expect(mostAtAll).toBe(2);
  const ofKey = (key: number): number[] => sub.received.map(({ id }) => Number(id)).filter((n) => n % 2 === key);
  expect([ofKey(0), ofKey(1)]).toEqual([ids.filter((n) => n % 2 === 0), ids.filter((n) => n % 2 === 1)]);
});

test('Kafka: a body that is no event is dead-lettered at once', async () => {
  const sub = await subscriber(answering(200, 'done'));
  const sink = await subscriber(answering(204));
  const started = await broker({
    manners: 'kafka',
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t')],
  });
  await publish(started.url, '1');
  await started.idle();
  expect(sub.received).toHaveLength(1);
  expect(sink.received[0]?.headers['ce-knativeerrordest']).toBe(sub.url);
  expect(sink.received[0]?.headers['ce-knativeerrorcode']).toBeUndefined();
});
