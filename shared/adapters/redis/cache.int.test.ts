import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CacheResult } from '#shared/domain/cache/cache.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { type RedisServer, startRedis } from '#shared/sandbox/servers/redis.ts';
import { cacheContract } from '#shared/testing/contracts/cache.ts';
import { openCache } from './cache.ts';
import { openSharedWindows } from './rate-limit.ts';

const password = 'cache-test';

let folder: string;
let processes: ProcessGroup;
let server: RedisServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cache-'));
  processes = await openProcessGroup();
  server = await startRedis({ processes, folder: join(folder, 'redis'), password });
});

afterAll(async () => {
  await processes.stopAll();
  await rm(folder, { recursive: true });
});

function open(options: {
  namespace: string;
  ttlMs?: number;
  staleMs?: number;
  localTtlMs?: number;
  port?: number;
  password?: string;
  /** More than in production: how long Redis takes is the subject of one test only. */
  patienceMs?: number | undefined;
}) {
  const { namespace, ttlMs = 60_000, staleMs = 60_000, localTtlMs = 0, port = server.port } = options;
  const patienceMs = 'patienceMs' in options ? options.patienceMs : 10_000;
  const results: CacheResult[] = [];
  const warnings: string[] = [];
  const cache = openCache({
    address: { host: '127.0.0.1', port, password: options.password ?? password },
    namespace,
    ttlMs,
    staleMs,
    localTtlMs,
    patienceMs,
    log: { warn: (fields, message) => warnings.push(`${message} ${JSON.stringify(fields)}`) },
    onResult: (_kind, result) => results.push(result),
  });
  return { cache, results, warnings, close: () => cache.close() };
}

cacheContract('the cache on Redis', open);

describe('the cache on Redis', () => {
  it('shares its connection with windows from the first turn on in which both ask', async () => {
    const { cache, warnings, close } = open({ namespace: 'shared' });
    await expect.poll(cache.isReachable, { timeout: 10_000 }).toBe(true);
    // of a busy machine
    warnings.length = 0;
    const address = { host: '127.0.0.1', port: server.port, password };
    const log = { warn: () => undefined };
    const windows = openSharedWindows({ address, namespace: 'shared', log, redis: cache.redis });
    const [value, verdict] = await Promise.all([
      cache.get('instance', 'a', async () => 'value'),
      windows.take('somebody', { count: 2, windowMs: 60_000 }),
    ]);
    expect([value, verdict, warnings]).toEqual(['value', expect.objectContaining({ remaining: 1 }), []]);
    close();
  });

  it('asks once for a copy, and twice when there is none', async () => {
    const direct = new Redis({ host: '127.0.0.1', port: server.port, password });
    const asked = async () => {
      const text = await direct.info('commandstats');
      const count = (name: string) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(text)?.[1] ?? 0);
      return count('eval') + count('evalsha');
    };
    const { cache, results, close } = open({ namespace: 'trips' });
    for (const [result, trips] of [
      ['miss', 2],
      ['hit', 1],
    ] as const) {
      const before = await asked();
      await cache.get('instance', 'a', async () => 'value');
      await expect.poll(async () => (await asked()) - before, { timeout: 15_000 }).toBe(trips);
      expect(results.at(-1)).toBe(result);
    }
    direct.disconnect();
    close();
  });

  it('lets the next one load at once when a load found nothing or failed', async () => {
    const { cache: first, close } = open({ namespace: 'freed' });
    const { cache: second, close: closeSecond } = open({ namespace: 'freed' });
    const direct = new Redis({ host: '127.0.0.1', port: server.port, password });
    const isFree = async () => (await direct.exists('{freed:instance}:copy:a:lock')) === 0;
    await first.get('instance', 'a', async () => undefined);
    await expect.poll(isFree, { timeout: 15_000 }).toBe(true);
    await expect(first.get('instance', 'a', () => Promise.reject(new Error('down')))).rejects.toThrow('down');
    await expect.poll(isFree, { timeout: 15_000 }).toBe(true);
    expect(await second.get('instance', 'a', async () => 'value')).toBe('value');
    direct.disconnect();
    close();
    closeSecond();
  });
});

describe('the cache without Redis', () => {
  it('loads, says so once a second at most, and comes back by itself', async () => {
    const { cache, results, warnings, close } = open({ namespace: 'down' });
    await cache.get('instance', 'a', async () => 'kept');
    await server.stop();
    const begun = performance.now();
    for (let count = 0; count < 50; count += 1)
      expect(await cache.get('instance', 'a', async () => 'loaded')).toBe('loaded');
    expect(performance.now() - begun).toBeLessThan(2_000);
    expect(results.slice(1).every((result) => result === 'bypass')).toBe(true);
    expect(warnings.length).toBeLessThanOrEqual(3);
    await cache.invalidate('instance', 'a');
    await server.restart();
    const last = async () => (await cache.get('instance', 'a', async () => 'loaded'), results.at(-1));
    await expect.poll(last, { timeout: 10_000 }).toBe('hit');
    close();
  });

  it('gives its own copies, and loads what it has forgotten', async () => {
    const { cache, results, close } = open({ namespace: 'own', localTtlMs: 60_000 });
    await cache.get('instance', 'a', async () => 'kept');
    await server.stop();
    expect(await cache.get('instance', 'a', async () => 'loaded')).toBe('kept');
    await cache.invalidate('instance', 'a');
    expect(await cache.get('instance', 'a', async () => 'loaded')).toBe('loaded');
    expect(await cache.get('instance', 'a', async () => 'loaded again')).toBe('loaded again');
    expect(results).toEqual(['miss', 'local', 'bypass', 'bypass']);
    await server.restart();
    close();
  });

  it('makes up for an invalidation that did not reach Redis', async () => {
    const reader = open({ namespace: 'missed', patienceMs: undefined });
    await reader.cache.get('instance', 'a', async () => 'old');
    const frozen = new Redis({ host: '127.0.0.1', port: server.port, password });
    await frozen.call('CLIENT', 'PAUSE', '600', 'ALL');
    await reader.cache.invalidate('instance', 'a');
    expect(await reader.cache.get('instance', 'a', async () => 'new')).toBe('new');
    const after = async () => {
      const value = await reader.cache.get('instance', 'a', async () => 'new');
      return { value, result: reader.results.at(-1) };
    };
    await expect.poll(after, { timeout: 10_000 }).toEqual({ value: 'new', result: 'hit' });
    frozen.disconnect();
    reader.close();
  });

  it('makes up for thousands of them at once, with a Redis that is far away', async () => {
    let isThere = false;
    const far = createServer((client) => {
      if (!isThere) return void client.destroy();
      const upstream = connect({ host: '127.0.0.1', port: server.port });
      client.on('data', (chunk) => setTimeout(() => upstream.write(chunk), 10)).on('error', () => undefined);
      upstream.on('data', (chunk) => client.write(chunk)).on('error', () => undefined);
      client.on('close', () => upstream.destroy());
    });
    await once(far.listen(0, '127.0.0.1'), 'listening');
    const { cache, close } = open({ namespace: 'many', port: (far.address() as AddressInfo).port });
    for (let at = 0; at < 2_000; at += 1) await cache.invalidate('instance', String(at));
    isThere = true;
    await expect.poll(cache.isReachable, { timeout: 10_000 }).toBe(true);
    const direct = new Redis({ host: '127.0.0.1', port: server.port, password });
    expect(await direct.keys('{many:instance}:*')).toHaveLength(2_000);
    direct.disconnect();
    close();
    far.close();
  });

  it('does without when the password is wrong, and tells no secret', async () => {
    const { cache, results, warnings, close } = open({ namespace: 'wrong', password: 'not-the-password' });
    expect(await cache.get('instance', 'a', async () => 'loaded')).toBe('loaded');
    expect(results).toEqual(['bypass']);
    expect(warnings.join()).not.toContain('not-the-password');
    close();
  });

  it('does without when a copy is garbage', async () => {
    const { cache, close } = open({ namespace: 'garbage' });
    await cache.get('plan', 'a', async () => 'good');
    const direct = new Redis({ host: '127.0.0.1', port: server.port, password });
    await direct.set('{garbage:plan}:copy:a', 'garbage');
    expect(await cache.get('plan', 'a', async () => 'loaded')).toBe('loaded');
    expect(await cache.get('plan', 'a', async () => 'never')).toBe('loaded');
    direct.disconnect();
    close();
  });

  it('reconnects at once after Redis closed an idle connection', async () => {
    const { cache, results, close } = open({ namespace: 'idle' });
    await cache.get('plan', 'a', async () => 'value');
    const direct = new Redis({ host: '127.0.0.1', port: server.port, password });
    await direct.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    expect(await cache.get('plan', 'a', async () => 'another')).toBe('value');
    expect(results).toEqual(['miss', 'hit']);
    direct.disconnect();
    close();
  });

  it('keeps a copy for its time and then for a while longer, and no lock for ever', async () => {
    const { cache, close } = open({ namespace: 'times', ttlMs: 100_000, staleMs: 60_000 });
    await cache.get('plan', 'a', async () => 'value');
    const direct = new Redis({ host: '127.0.0.1', port: server.port, password });
    const left = await direct.pttl('{times:plan}:copy:a');
    expect(left).toBeGreaterThan(149_000);
    expect(left).toBeLessThanOrEqual(170_000);
    const keys = await direct.keys('{times:plan}*');
    expect(keys.filter((key) => key.includes('lock'))).toEqual([]);
    direct.disconnect();
    close();
  });
});
