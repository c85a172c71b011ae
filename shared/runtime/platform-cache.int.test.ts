import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusChanged } from '#events/instance/status-changed.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { contextOf, runInContext } from '#shared/adapters/tracing/request-context.ts';
import { announce } from '#shared/domain/event/announce.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { parseConfig } from './config.ts';
import { openPlatform, type Platform, platformRows } from './platform.ts';

const made = databaseOfThisFile();
const broker = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(202).end());
});
const opened: Platform[] = [];

beforeAll(async () => {
  broker.listen(0, '127.0.0.1');
  await once(broker, 'listening');
});
afterAll(async () => {
  for (const { cache, database } of opened) {
    cache.close();
    await database.end();
  }
  broker.closeAllConnections();
  broker.close();
});

function open(name: string): Platform {
  const { redis } = sharedServers();
  const secrets: Record<string, string> = { password: made().password, redis: redis.password };
  const env = {
    ...platformSettings(made(), 'password'),
    BROKER_URL: `http://127.0.0.1:${(broker.address() as AddressInfo).port}`,
    REDIS_HOST: redis.host,
    REDIS_PORT: String(redis.port),
    REDIS_PASSWORD_FILE: 'redis',
    LOG_LEVEL: 'silent',
  };
  const platform = openPlatform(name, parseConfig(platformRows, env, { readFile: (path) => secrets[path] ?? '' }));
  opened.push(platform);
  return platform;
}

describe("the platform's cache", () => {
  it('gives no copy of an instance any more once another function has told of its change', async () => {
    const reader = open('api');
    const writer = open('stop');
    // the first connection may take longer than a function waits for it
    for (const { cache } of [reader, writer])
      await expect.poll(() => cache.isReachable(), { timeout: 15_000 }).toBe(true);
    // base32 has no 0, 1, 8 and 9
    const id = randomBytes(12)
      .toString('hex')
      .replaceAll(/[0189]/g, 'z')
      .slice(0, 12);
    const word = async (value: string) => {
      const read = await reader.cache.read('instance', id, async () => value);
      return [read.value, read.result === 'local' ? 'hit' : read.result];
    };
    expect([await word('running'), await word('stopped')]).toEqual([
      ['running', 'miss'],
      ['running', 'hit'],
    ]);
    const data = { ...statusChanged.example, instance: id };
    await runInContext(contextOf({}), async () => {
      await writer.database.transaction((transaction) =>
        enqueue(transaction, [announce(statusChanged, data, { id: randomUUID(), source: 'urn:odoo-fleet' })]),
      );
      await writer.flush();
    });
    // copies of a process' own are given for a second
    await expect.poll(() => word('stopped'), { timeout: 15_000 }).toEqual(['stopped', 'miss']);
  });
});
