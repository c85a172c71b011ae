import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { done } from './answer.ts';
import { type HttpHandler, httpFunction } from './http-function.ts';
import { makeMetrics } from './metrics.ts';
import { type Served, type ServeOptions, serve } from './serve.ts';
import { makeShutdown } from './shutdown.ts';

const log = pino({ level: 'silent' });
const servers: Served[] = [];
afterEach(async () => {
  for (const served of servers.splice(0)) await served.drain();
});

async function start(handler: HttpHandler, options: Partial<ServeOptions> = {}): Promise<Served> {
  const served = await serve(handler, { port: 0, host: '127.0.0.1', log, ...options });
  servers.push(served);
  return served;
}

const urlOf = (served: Served, path = '/') => `http://127.0.0.1:${served.port}${path}`;
const post = (served: Served, body: Uint8Array | string) => fetch(urlOf(served), { method: 'POST', body });

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true');
    await sleep(5);
  }
}

/** A handler that waits until it is released. */
function heldHandler() {
  const gate = Promise.withResolvers<void>();
  let started = 0;
  let finished = 0;
  const handler = httpFunction(
    async () => {
      started += 1;
      await gate.promise;
      finished += 1;
      return done('done');
    },
    { log },
  );
  return { handler, release: gate.resolve, started: () => started, finished: () => finished };
}

describe('serve', () => {
  it.each([
    [0, false],
    [10, false],
    [11, true],
    [100_000, true],
  ])('hands over a body of %i bytes of at most 10 (too large: %s)', async (size, isTooLarge) => {
    const seen: unknown[] = [];
    const handler = httpFunction(
      async (request) => {
        seen.push(request.isTooLarge, request.isTooLarge ? request.body.length <= 70_000 : request.body.length);
        return done('done');
      },
      { log },
    );
    const served = await start(handler, { bodyLimitBytes: 10 });
    expect((await post(served, Buffer.alloc(size, 'a'))).status).toBe(204);
    expect(seen).toEqual([isTooLarge, isTooLarge ? true : size]);
  });

  it('puts a body of many pieces together', async () => {
    let body = '';
    const handler = httpFunction(
      async (request) => {
        body = request.body.toString();
        return done('done');
      },
      { log },
    );
    const served = await start(handler);
    const text = 'äöü'.repeat(100_000);
    await post(served, text);
    expect(body === text).toBe(true);
  });

  it('answers 500 when a handler throws, and goes on', async () => {
    const served = await start(() => Promise.reject(new Error('a bug')));
    expect((await post(served, '')).status).toBe(500);
    expect((await post(served, '')).status).toBe(500);
  });

  it('outlives senders that go away: within the body and while they are waited for', async () => {
    const held = heldHandler();
    const served = await start(held.handler);
    const half = connect(served.port, '127.0.0.1');
    half.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc', () => half.destroy());
    const whole = connect(served.port, '127.0.0.1');
    whole.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc');
    await until(() => held.started() === 1);
    whole.destroy();
    held.release();
    await until(() => held.finished() === 1);
    expect((await post(served, '')).status).toBe(204);
  });

  it('counts what is in flight and shows it', async () => {
    const held = heldHandler();
    const metrics = makeMetrics({ functionName: 'x', withNodeMetrics: false });
    const served = await start(held.handler, { metrics });
    const sent = [post(served, ''), post(served, '')];
    await until(() => held.started() === 2);
    expect(await (await fetch(urlOf(served, '/metrics'))).text()).toContain('fleet_requests_in_flight{function="x"} 2');
    held.release();
    await Promise.all(sent);
  });

  it('shows its numbers to nobody who comes through a gateway', async () => {
    const metrics = makeMetrics({ functionName: 'x', withNodeMetrics: false });
    const handler = httpFunction(async () => done('handled'), { log });
    const served = await start(handler, { metrics });
    const answer = await fetch(urlOf(served, '/metrics'), { headers: { 'x-forwarded-for': '192.0.2.1' } });
    expect([answer.headers.get('x-outcome'), await answer.text()]).toEqual(['handled', '']);
    expect((await fetch(urlOf(served, '/metrics'))).headers.get('x-outcome')).toBeNull();
  });

  it('says which port is taken', async () => {
    const { port } = await start(heldHandler().handler);
    await expect(serve(heldHandler().handler, { port, host: '127.0.0.1', log })).rejects.toThrow('EADDRINUSE');
  });
});

describe('draining', () => {
  it('finishes what is in flight, closes its connections and takes no new ones', async () => {
    const held = heldHandler();
    const served = await start(held.handler);
    const sent = post(served, '');
    await until(() => held.started() === 1);
    const drained = served.drain();
    expect(served.isDraining).toBe(true);
    await expect(post(served, '')).rejects.toThrow();
    held.release();
    const answer = await sent;
    expect([answer.status, answer.headers.get('connection')]).toEqual([204, 'close']);
    await drained;
  });

  it('waits for a handler whose sender went away, because it still uses the pools', async () => {
    const held = heldHandler();
    const served = await start(held.handler);
    const socket = connect(served.port, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n');
    await until(() => held.started() === 1);
    socket.destroy();
    let isDrained = false;
    const drained = served.drain().then(() => {
      isDrained = true;
    });
    await sleep(50);
    expect(isDrained).toBe(false);
    held.release();
    await drained;
    expect(held.finished()).toBe(1);
  });

  it('cuts off what does not end in time', async () => {
    const held = heldHandler();
    const served = await start(held.handler, { drainTimeoutMs: 50 });
    const sent = post(served, '').then(
      () => 'answered',
      () => 'cut off',
    );
    await until(() => held.started() === 1);
    await served.drain();
    expect(await sent).toBe('cut off');
    held.release();
  });

  it('says so on /readyz before the shutdown stops listening', async () => {
    const shutdown = makeShutdown({ log, timeoutMs: 20_000, exit: () => undefined });
    const served = await start(
      httpFunction(async () => done('done'), { log }),
      // as long as the four calls below may take
      { shutdown, lingerMs: 5_000 },
    );
    expect((await fetch(urlOf(served, '/readyz'))).status).toBe(200);
    const ended = shutdown.begin('SIGTERM');
    expect((await fetch(urlOf(served, '/readyz'))).status).toBe(503);
    expect((await fetch(urlOf(served, '/healthz'))).status).toBe(200);
    expect((await post(served, '')).status).toBe(204);
    await ended;
    await expect(fetch(urlOf(served, '/readyz'))).rejects.toThrow();
  });
});
