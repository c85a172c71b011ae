import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { contextOf, runInContext } from '../tracing/request-context.ts';
import { openPublisher, type Publisher, type PublisherOptions } from './publish.ts';
import { receive } from './receive.ts';

type Received = { headers: IncomingHttpHeaders; body: Buffer; socket: number };
let server: Server | undefined;
let publisher: Publisher | undefined;

afterEach(async () => {
  await publisher?.end();
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server = undefined;
});

async function startSink(
  answer: (request: Received, response: ServerResponse) => void,
): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const sink = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = { headers: request.headers, body: Buffer.concat(chunks), socket: request.socket.remotePort ?? 0 };
      received.push(one);
      answer(one, response);
    });
  });
  server = sink;
  await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(sink.address() as AddressInfo).port}/fleet?a=b`, received };
}

const open = (brokerUrl: string, options: Partial<PublisherOptions> = {}) => {
  publisher = openPublisher({ brokerUrl, ...options });
  return publisher;
};
const accept = (_: Received, response: ServerResponse) => response.writeHead(202).end();
const event = (id: string, more: Partial<OutgoingEvent> = {}): OutgoingEvent => ({
  id,
  type: 'some.type',
  source: 'urn:odoo-fleet',
  data: { a: 1 },
  ...more,
});

describe('a publisher', () => {
  it('sends events that are received as they were', async () => {
    const { url, received } = await startSink(accept);
    const extensions = { partitionkey: 'k3n5q2x7a4bc', note: 'Größe 100 % "😀"' };
    const sent = event('1', { subject: 'Zürich', data: { text: 'ü😀', n: null }, extensions });
    expect(await open(url).publish([sent])).toEqual({ published: ['1'], failed: [] });
    const [one] = received;
    if (one === undefined) throw new Error('nothing was received');
    expect(one.headers['content-type']).toBe('application/json');
    for (const value of Object.values(one.headers)) expect(String(value)).toMatch(/^[\x20-\x7e]*$/);
    const { time, ...rest } = receive(one.headers, one.body).event;
    expect(rest).toEqual(sent);
    expect(time).toMatch(/^\d{4}-/);
  });

  it.each([['text'], [0], [null], [false], [[1]]])('sends the data %j as JSON', async (data) => {
    const { url, received } = await startSink(accept);
    await open(url).publish([event('1', { data })]);
    expect(received[0] && receive(received[0].headers, received[0].body).event.data).toEqual(data);
  });

  it('sends the request’s trace as W3C headers; an event of another trace goes in its own', async () => {
    const { url, received } = await startSink(accept);
    const [ours, others] = ['00-0af7651916cd43dd8448eb211c80319c', '00-4bf92f3577b34da6a3ce929d0e0e4736'];
    const publisher = open(url, { concurrency: 1 });
    await runInContext(contextOf({ traceparent: `${ours}-b7ad6b7169203331-01`, tracestate: 'a=1' }), () =>
      publisher.publish([
        event('1'),
        event('2', { extensions: { traceparent: `${ours}-00f067aa0ba902b7-01` } }),
        event('3', { extensions: { traceparent: `${others}-00f067aa0ba902b7-01`, tracestate: 'b=2' } }),
        event('4', { extensions: { traceparent: 'none' } }),
      ]),
    );
    const hops = received.map(({ headers }) => [headers['traceparent']?.slice(0, 35), headers['tracestate']]);
    expect(hops).toEqual([
      [ours, 'a=1'],
      [ours, 'a=1'],
      [others, 'b=2'],
      [ours, 'a=1'],
    ]);
    // where the event began stays in the event
    expect(received[1]?.headers['ce-traceparent']).toBe(`${ours}-00f067aa0ba902b7-01`);
    expect(received[1]?.headers['traceparent']).not.toContain('00f067aa0ba902b7');
    expect((await publisher.publish([event('5')])).failed).toEqual([]);
    expect(received[4]?.headers['traceparent']).toBeUndefined();
  });

  it('counts nothing but 2xx as success and tells each event’s fate', async () => {
    const statuses: Record<string, number> = { a: 200, b: 503, c: 302, d: 400, e: 204 };
    const { url } = await startSink(({ headers }, response) => {
      response.writeHead(statuses[String(headers['ce-id'])] ?? 500, { location: '/elsewhere' }).end('ignored');
    });
    const result = await open(url).publish(Object.keys(statuses).map((id) => event(id)));
    expect(result.published.sort()).toEqual(['a', 'e']);
    expect(result.failed.sort((x, y) => x.id.localeCompare(y.id))).toEqual([
      { id: 'b', reason: 'answered with status 503' },
      { id: 'c', reason: 'answered with status 302' },
      { id: 'd', reason: 'answered with status 400' },
    ]);
  });

  it('gives up on a sink that does not answer in time', async () => {
    const { url } = await startSink(() => undefined);
    const result = await open(url, { timeoutMs: 100 }).publish([event('1')]);
    expect(result).toEqual({ published: [], failed: [{ id: '1', reason: 'no answer within 100 ms' }] });
  });

  it('begins no more with a sink that hangs, and is over within one timeout however many wait', async () => {
    const { url, received } = await startSink(() => undefined);
    const one = open(url, { timeoutMs: 100, concurrency: 2 });
    const ids = ['1', '2', '3', '4', '5'];
    const { published, failed } = await one.publish(ids.map((id) => event(id)));
    expect([published, failed.map(({ id }) => id).sort()]).toEqual([[], ids]);
    expect(new Set(failed.map(({ reason }) => reason))).toEqual(new Set(['no answer within 100 ms']));
    expect(received.length).toBeLessThanOrEqual(2);
    expect(failed.filter(({ isLeft }) => isLeft)).toHaveLength(3);
  });

  it('begins them all with a sink that may be slow over each', async () => {
    const { url, received } = await startSink(() => undefined);
    const one = open(url, { timeoutMs: 2_000, concurrency: 1, beginsAll: true });
    expect((await one.publish([event('1'), event('2'), event('3')])).failed).toHaveLength(3);
    expect(received).toHaveLength(3);
  });

  it('begins none in the second half of its time, and waits for those on their way', async () => {
    const answers: (() => void)[] = [];
    const { url, received } = await startSink((_, response) => answers.push(() => response.writeHead(202).end()));
    const sent = open(url, { timeoutMs: 60_000, concurrency: 2 }).publish([event('1'), event('2'), event('3')], {
      withinMs: 10_000,
    });
    await expect.poll(() => answers.length, { timeout: 15_000 }).toBe(2);
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 5_001);
    for (const answer of answers) answer();
    const { published, failed } = await sent;
    vi.restoreAllMocks();
    const left = { id: '3', reason: 'not sent: there was no time left', isLeft: true };
    expect([published.sort(), failed]).toEqual([['1', '2'], [left]]);
    expect(received).toHaveLength(2);
  });

  it('is over within its time with a sink that never answers', async () => {
    const { url } = await startSink(() => undefined);
    const { failed } = await open(url, { timeoutMs: 60_000 }).publish([event('1')], { withinMs: 100 });
    expect(failed).toEqual([{ id: '1', reason: expect.stringMatching(/^no answer within \d+ ms$/) }]);
    expect((await publisher?.publish([event('2')], { withinMs: 0 }))?.failed).toHaveLength(1);
  });

  it('tries again in the next call', async () => {
    let hangs = true;
    const { url } = await startSink((request, response) => hangs || accept(request, response));
    // the answers of the second call must come within it, on a busy machine too
    const one = open(url, { timeoutMs: 1_500, concurrency: 1 });
    expect((await one.publish([event('1'), event('2')])).failed).toHaveLength(2);
    hangs = false;
    expect((await one.publish([event('1'), event('2')])).published).toEqual(['1', '2']);
  });

  it('says so when nobody listens', async () => {
    const { url } = await startSink(accept);
    server?.close();
    const result = await open(url).publish([event('1')]);
    expect(result.failed).toEqual([{ id: '1', reason: expect.stringContaining('ECONNREFUSED') }]);
  });

  it('says so when the connection is cut before the answer', async () => {
    const { url } = await startSink((_, response) => response.socket?.destroy());
    const result = await open(url).publish([event('1')]);
    expect(result.failed).toEqual([{ id: '1', reason: expect.stringContaining('not sent') }]);
  });

  it('keeps its connections and never has more on their way than allowed', async () => {
    let now = 0;
    let most = 0;
    const { url, received } = await startSink((_, response) => {
      now += 1;
      most = Math.max(most, now);
      setImmediate(() => {
        now -= 1;
        response.writeHead(202).end();
      });
    });
    const one = open(url, { concurrency: 3 });
    const ids = Array.from({ length: 30 }, (_, index) => String(index));
    const result = await one.publish(ids.map((id) => event(id)));
    expect(result.published).toHaveLength(30);
    await one.publish([event('last')]);
    expect(most).toBeLessThanOrEqual(3);
    expect(new Set(received.map(({ socket }) => socket)).size).toBeLessThanOrEqual(3);
  });

  it('reports an event that is no CloudEvent and sends the others', async () => {
    const { url } = await startSink(accept);
    const odd = event('odd', { extensions: { 'Not-A-Name': 'x' } });
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const result = await open(url).publish([odd, event('circular', { data: circular }), event('good')]);
    expect(result.published).toEqual(['good']);
    expect(result.failed.map(({ id }) => id).sort()).toEqual(['circular', 'odd']);
  });
});
