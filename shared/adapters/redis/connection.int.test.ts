import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sharedServers } from '#shared/testing/servers.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { openRedisConnection, type RedisConnection } from './connection.ts';

let proxy: TcpProxy;
let redis: RedisConnection;

function openThroughProxy(options: { patienceMs?: number } = {}): RedisConnection {
  const address = { host: proxy.host, port: proxy.port, password: sharedServers().redis.password };
  return openRedisConnection(address, { log: { warn: () => undefined }, ...options });
}

beforeEach(async () => {
  proxy = await startTcpProxy(sharedServers().redis);
  redis = openThroughProxy();
});
afterEach(async () => {
  redis.close();
  await proxy.close();
});

const ping = async () => (await redis.attempt((client) => client.ping()))?.answer;

describe('a Redis that takes connections and never answers', () => {
  it('is gone without by who connects to it for the first time', async () => {
    proxy.hold();
    expect(await ping()).toBeUndefined();
  });

  it('is gone without by who had a connection, also when a new one is tried', async () => {
    await expect.poll(ping, { timeout: 10_000 }).toBe('PONG');
    proxy.hold();
    expect(await ping()).toBeUndefined();
    // connections that are tried anew, one a second
    for (let tries = 0; tries < 3; tries += 1) expect(await ping()).toBeUndefined();
    const tried = performance.now() + 1_100;
    while (performance.now() < tried) expect(await ping()).toBeUndefined();
  });

  it('is used again once it answers', async () => {
    proxy.hold();
    expect(await ping()).toBeUndefined();
    proxy.goOn();
    await expect.poll(ping, { timeout: 10_000 }).toBe('PONG');
  });
});

describe('a command that Redis refuses', () => {
  // what is asked is which answer costs the connection: one that is late is none
  beforeEach(() => {
    redis.close();
    redis = openThroughProxy({ patienceMs: 10_000 });
  });

  const idOf = async () => (await redis.attempt((client) => client.client('ID')))?.answer;
  const refused = (text: string) => (client: Redis) => client.eval(`return redis.error_reply('${text}')`, 0);

  it.each(['OOM command not allowed', 'NOPERM this user has no permissions', 'ERR of a script'])(
    'with %s costs nobody else the connection',
    async (text) => {
      await expect.poll(ping, { timeout: 10_000 }).toBe('PONG');
      const id = await idOf();
      expect(await redis.attempt(refused(text))).toBeUndefined();
      expect(await idOf()).toBe(id);
    },
  );

  it.each(['LOADING', 'READONLY', 'NOAUTH', 'MASTERDOWN'])('with %s is a Redis that is not there', async (word) => {
    await expect.poll(ping, { timeout: 10_000 }).toBe('PONG');
    const id = await idOf();
    expect(await redis.attempt(refused(`${word} not now`))).toBeUndefined();
    await expect.poll(ping, { timeout: 10_000 }).toBe('PONG');
    expect(await idOf()).not.toBe(id);
  });

  it('and that must be taken costs it, too', async () => {
    await expect.poll(ping, { timeout: 10_000 }).toBe('PONG');
    const id = await idOf();
    expect(await redis.attempt(refused('OOM'), { mustBeTaken: true })).toBeUndefined();
    await expect.poll(ping, { timeout: 10_000 }).toBe('PONG');
    expect(await idOf()).not.toBe(id);
  });
});
