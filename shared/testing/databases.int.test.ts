import { Redis } from 'ioredis';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { databaseOfThisFile, dropDatabase, type FreshDatabase, freshDatabase } from './databases.ts';
import { sharedServers } from './servers.ts';

const ours = databaseOfThisFile();

async function query(target: FreshDatabase, way: 'direct' | 'pooled', text: string): Promise<unknown[]> {
  const { user, password, database } = target;
  const client = new Client({ ...target[way], user, password, database });
  client.on('error', () => undefined); // the query that meets it reports it
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

test.each(['direct', 'pooled'] as const)('a fresh database has the migrated tables, %s', async (way) => {
  expect(await query(ours(), way, 'select count(*)::int as count from operations')).toEqual([{ count: 0 }]);
});

test('two databases share nothing, and one with a pooled session can be dropped', async () => {
  const other = await freshDatabase();
  await query(other, 'pooled', 'create table only_here ()');
  await expect(query(ours(), 'pooled', 'select from only_here')).rejects.toThrow('does not exist');
  await dropDatabase(other.database);
  await expect(query(other, 'direct', 'select 1')).rejects.toThrow('does not exist');
});

test('the shared Redis answers', async () => {
  const redis = new Redis(sharedServers().redis);
  expect(await redis.ping()).toBe('PONG');
  redis.disconnect();
});
