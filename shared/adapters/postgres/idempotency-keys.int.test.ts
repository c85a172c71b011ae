import { beforeEach, describe, expect, test } from 'vitest';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import { freeKey, type KeptAnswer, keepAnswer, keysKeptDays, takeKey, trimKeys } from './idempotency-keys.ts';

const platform = platformOfThisFile();
let database: Database;
beforeEach(async () => {
  database = platform();
  await database.query('truncate idempotency_keys');
});

const call = { actor: 'user:jane', key: 'order-1', requestHash: Buffer.alloc(32, 1) };
const answer: KeptAnswer = { status: 202, headers: { location: '/v1/operations/x' }, body: { id: 'x' } };

/** Takes the key and, when it is free, keeps the answer. */
const done = () =>
  database.transaction(async (transaction) => {
    const earlier = await takeKey(transaction, call);
    if (earlier === undefined) await keepAnswer(transaction, call, answer);
    return earlier;
  });

describe('a key', () => {
  test('is taken once; whoever comes later, or at the same time, gets the first answer', async () => {
    const found = await Promise.all(Array.from({ length: 10 }, done));
    expect(found.filter((one) => one === undefined)).toHaveLength(1);
    expect(found.filter((one) => one !== undefined)).toEqual(Array(9).fill(answer));
  });

  test('that stands for another request is refused', async () => {
    await done();
    const other = { ...call, requestHash: Buffer.alloc(32, 2) };
    await expect(database.transaction((transaction) => takeKey(transaction, other))).rejects.toMatchObject({
      code: 'reused-key',
    });
  });

  test('of somebody else is another key', async () => {
    await done();
    const other = { ...call, actor: 'user:joe', requestHash: Buffer.alloc(32, 2) };
    expect(await database.transaction((transaction) => takeKey(transaction, other))).toBeUndefined();
  });

  test('is free again when the call that took it was refused, or did not commit', async () => {
    await database.transaction(async (transaction) => {
      await takeKey(transaction, call);
      await freeKey(transaction, call);
    });
    const failing = database.transaction(async (transaction) => {
      await takeKey(transaction, call);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await done()).toBeUndefined();
  });

  test('is forgotten when it is old, a few at a time', async () => {
    const age = (days: number) => `now() - interval '${days} days'`;
    await database.query(
      `insert into idempotency_keys (actor, key, request_hash, created_at) select 'user:jane', n::text, '\\x00', ${age(keysKeptDays + 1)} from generate_series(1, 3) n`,
    );
    await done();
    expect(await trimKeys(database, { limit: 2 })).toBe(2);
    expect(await trimKeys(database, { limit: 2 })).toBe(1);
    expect(await trimKeys(database, { limit: 2 })).toBe(0);
    expect(await done()).toEqual(answer);
  });
});
