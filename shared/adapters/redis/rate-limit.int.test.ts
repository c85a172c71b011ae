import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Principal } from '#shared/domain/access/principal.ts';
import { openRateLimiter } from '#shared/runtime/access/rate-limit.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { type RedisServer, startRedis } from '#shared/sandbox/servers/redis.ts';
import { openSharedWindows, type SharedWindows } from './rate-limit.ts';

const password = 'rate-limit-test';
const minute = 60_000;

let folder: string;
let processes: ProcessGroup;
let server: RedisServer;
let direct: Redis;
let opened: SharedWindows[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rate-limit-'));
  processes = await openProcessGroup();
  server = await startRedis({ processes, folder: join(folder, 'redis'), password });
});
afterAll(async () => {
  await processes.stopAll();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  opened = [];
  direct = new Redis({ host: '127.0.0.1', port: server.port, password });
  // it is away in some of the tests
  direct.on('error', () => undefined);
});
afterEach(() => {
  for (const windows of opened) windows.close();
  direct.disconnect();
});

/** As another process would have it. More patience than in production: how long Redis takes is the subject of one test only. */
function open(patience: { patienceMs?: number } = { patienceMs: 10_000 }): SharedWindows {
  const address = { host: '127.0.0.1', port: server.port, password };
  const windows = openSharedWindows({ address, namespace: 'test', log: { warn: () => undefined }, ...patience });
  opened.push(windows);
  return windows;
}

const calls = async (): Promise<number> => {
  const text = await direct.info('commandstats');
  const counts = ['evalsha', 'eval'].map((name) =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(text)?.[1] ?? 0),
  );
  return counts.reduce((sum, count) => sum + count, 0);
};

describe('windows that all processes share', () => {
  test('let in exactly so many, however many ask at once from however many processes', async () => {
    const limit = { count: 100, windowMs: minute };
    const pods = [open(), open(), open(), open()];
    const taken = await Promise.all(
      Array.from({ length: 400 }, async (_one, index) => await pods[index % pods.length]?.take('many', limit)),
    );
    expect(taken.filter((verdict) => verdict?.isAllowed)).toHaveLength(100);
    expect(taken.filter((verdict) => verdict?.remaining === 0 && verdict.isAllowed)).toHaveLength(1);
    expect(await direct.zcard('test:rate:many')).toBe(100);
  });

  test('need one round trip each', async () => {
    const windows = open();
    const limit = { count: 1_000, windowMs: minute };
    await windows.take('trips', limit);
    const before = await calls();
    for (let count = 0; count < 50; count += 1) await windows.take('trips', limit);
    expect((await calls()) - before).toBe(50);
  });

  test('say when the oldest counted request is a window old, and hold then', async () => {
    const windows = open();
    const limit = { count: 2, windowMs: 2_000 };
    await windows.take('slides', limit);
    await windows.take('slides', limit);
    const denied = await windows.take('slides', limit);
    expect(denied).toMatchObject({ isAllowed: false, remaining: 0 });
    expect(denied?.retryAfterMs).toBeGreaterThan(0);
    expect(denied?.retryAfterMs).toBeLessThanOrEqual(2_000);
    const again = async () => (await windows.take('slides', limit))?.isAllowed;
    await expect.poll(again, { timeout: 15_000, interval: 20 }).toBe(true);
  });

  test('keep nothing longer than its window, and nothing of what they denied', async () => {
    const windows = open();
    const limit = { count: 3, windowMs: 5_000 };
    for (let count = 0; count < 20; count += 1) await windows.take('kept', limit);
    expect(await direct.zcard('test:rate:kept')).toBe(3);
    expect(await direct.pttl('test:rate:kept')).toBeLessThanOrEqual(5_000);
    const scores = await direct.zrange('test:rate:kept', '0', '-1', 'WITHSCORES');
    // microseconds of Redis' own clock, written out in full
    expect(scores.filter((_one, index) => index % 2 === 1).every((score) => /^\d{16}$/.test(score))).toBe(true);
  });

  test('go on after Redis has forgotten the script', async () => {
    const windows = open();
    const limit = { count: 10, windowMs: minute };
    await windows.take('flushed', limit);
    await direct.script('FLUSH');
    expect(await windows.take('flushed', limit)).toMatchObject({ isAllowed: true, remaining: 8 });
  });

  test('keep subjects apart, whatever they are called', async () => {
    const windows = open();
    const limit = { count: 1, windowMs: minute };
    for (const subject of ['a', 'a:b', 'a b', '{a}', 'ä'])
      expect(await windows.take(subject, limit)).toMatchObject({ isAllowed: true });
    expect(await windows.take('a', limit)).toMatchObject({ isAllowed: false });
  });
});

describe('the rate limit without Redis', () => {
  test('is kept by the process alone, and by Redis again once it is there', async () => {
    const principal: Principal = { kind: 'user', id: 'u1', role: 'admin', customerId: null, scopes: [] };
    const limit = { count: 2, windowMs: minute };
    const limiter = openRateLimiter({
      shared: open(),
      limits: { read: limit, write: limit, export: limit },
    });
    expect(await limiter.limit(principal, 'read')).toMatchObject({ isAllowed: true, limit: 2, isLocal: false });
    await server.stop();
    const away = [];
    for (let count = 0; count < 4; count += 1) away.push(await limiter.limit(principal, 'read'));
    expect(away.map(({ isAllowed }) => isAllowed)).toEqual([true, true, false, false]);
    expect(away.every(({ isLocal }) => isLocal)).toBe(true);
    await server.restart();
    const isBack = async () => !(await limiter.limit(principal, 'write')).isLocal;
    await expect.poll(isBack, { timeout: 10_000 }).toBe(true);
  });

  test('never waits long for a Redis that does not answer', async () => {
    const windows = open({});
    const limit = { count: 2, windowMs: minute };
    await windows.take('slow', limit);
    // longer than this test may take
    await direct.call('CLIENT', 'PAUSE', '60000', 'ALL');
    for (let count = 0; count < 20; count += 1) expect(await windows.take('slow', limit)).toBeUndefined();
  });
});
