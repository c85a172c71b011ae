import { expect, test } from 'vitest';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { add, failureOf, type World } from './world.ts';

export function transactionTests({ open, database, surroundings }: World): void {
  test('what a transaction did is there after it, and its result is returned', async () => {
    const result = await database().transaction(async (transaction) => {
      await add(transaction, 'a');
      return (await transaction.query<{ name: string }>('select name from ledger')).rows;
    });
    expect(result).toEqual([{ name: 'a' }]);
    expect(await surroundings().asAdmin('select name from ledger')).toEqual([{ name: 'a' }]);
  });

  test('an error of the work is thrown as it is, and nothing was done', async () => {
    const error = new Error('of the work');
    let runs = 0;
    const done = database().transaction(async (transaction) => {
      runs += 1;
      await add(transaction, 'a');
      throw error;
    });
    await expect(done).rejects.toBe(error);
    expect(runs).toBe(1);
    expect((await database().query('select 1 from ledger')).rowCount).toBe(0);
  });

  test('a failed statement dooms its transaction, even when the work goes on', async () => {
    const failure = await failureOf(
      database().transaction(async (transaction) => {
        await add(transaction, 'a');
        await add(transaction, 'a').catch(() => undefined);
        await add(transaction, 'b').catch(() => undefined);
      }),
    );
    expect(failure.facts['constraint']).toBe('ledger_pkey');
    expect((await database().query('select 1 from ledger')).rowCount).toBe(0);
  });

  test('limits hold inside and leave nothing behind', async () => {
    const settings =
      "select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle, current_setting('transaction_isolation') as isolation";
    const one = open({ maxConnections: 1 });
    const before = (await one.query(settings)).rows;
    const limits = { lockTimeoutMs: 1_234, statementTimeoutMs: 4_321, idleTimeoutMs: 5_678 };
    const options = { ...limits, isolation: 'repeatable read' } as const;
    const inside = await one.transaction(async (transaction) => (await transaction.query(settings)).rows, options);
    expect(inside).toEqual([{ lock: '1234ms', statement: '4321ms', idle: '5678ms', isolation: 'repeatable read' }]);
    expect(await one.transaction(async (transaction) => (await transaction.query(settings)).rows)).toEqual([
      { lock: '2s', statement: '5s', idle: '10s', isolation: 'read committed' },
    ]);
    expect((await one.query(settings)).rows).toEqual(before);
  });

  test('one that may be forgotten does not wait for the disk, and the next one waits again', async () => {
    const one = open({ maxConnections: 1 });
    const waits = async (options?: { mayBeForgotten: boolean }) => {
      const read = 'show synchronous_commit';
      const work = async (transaction: Queryable) =>
        (await transaction.query<{ synchronous_commit: string }>(read)).rows;
      return (await one.transaction(work, options))[0]?.synchronous_commit;
    };
    const usual = await waits();
    expect([await waits({ mayBeForgotten: true }), await waits()]).toEqual(['off', usual]);
  });

  test('a transaction that stands still is ended, and what it did is undone', async () => {
    const added = Promise.withResolvers<void>();
    const resumed = Promise.withResolvers<void>();
    const standing = failureOf(
      database().transaction(
        async (transaction) => {
          await add(transaction, 'a');
          added.resolve();
          await resumed.promise;
          await add(transaction, 'b');
        },
        { idleTimeoutMs: 100 },
      ),
    );
    await added.promise;
    // It holds the key until the server has ended it: this one waits as long.
    const patient = { lockTimeoutMs: 20_000, statementTimeoutMs: 20_000 };
    await database().transaction((transaction) => add(transaction, 'a'), patient);
    resumed.resolve();
    expect((await standing).facts['constraint']).toBe('ledger_pkey');
    expect((await database().query('select 1 from ledger')).rowCount).toBe(1);
  });

  test('statements that are not awaited one by one run one after the other', async () => {
    await database().transaction(async (transaction) => {
      await Promise.all(['a', 'b', 'c', 'd'].map((name) => add(transaction, name)));
      void add(transaction, 'not awaited');
    });
    expect((await database().query('select 1 from ledger')).rowCount).toBe(5);
  });

  test('a statement after the end of its transaction is refused', async () => {
    let leaked: Queryable | undefined;
    await database().transaction(async (transaction) => {
      leaked = transaction;
    });
    expect((await failureOf((leaked as Queryable).query('select 1'))).code).toBe('internal');
  });

  test('forty at once share five connections', async () => {
    await add(database(), 'shared');
    let most = 0;
    const numbers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        database().transaction(
          async (transaction) => {
            most = Math.max(most, database().stats().total);
            await add(transaction, `own ${index}`);
            await transaction.query("update ledger set amount = amount + $1 where name = 'shared'", [1]);
            return index;
          },
          { lockTimeoutMs: 20_000, statementTimeoutMs: 20_000 },
        ),
      ),
    );
    expect(numbers).toEqual(Array.from({ length: 40 }, (_, index) => index));
    expect(most).toBe(5);
    expect((await database().query("select amount from ledger where name = 'shared'")).rows).toEqual([{ amount: 41 }]);
    expect((await database().query('select 1 from ledger')).rowCount).toBe(41);
  });

  test('a statement that takes too long is a timeout, and the next transaction works', async () => {
    const slow = database().transaction((transaction) => transaction.query('select pg_sleep(5)'), {
      statementTimeoutMs: 100,
    });
    expect(await failureOf(slow)).toMatchObject({ code: 'timeout', facts: { sqlState: '57014' } });
    expect(database().stats()).toMatchObject({ total: 1, idle: 1 });
  });

  test('a lock that somebody else holds is a conflict', async () => {
    await add(database(), 'a');
    await database().transaction(async (holder) => {
      await holder.query("select 1 from ledger where name = 'a' for update");
      const waiting = database().transaction((other) => other.query("update ledger set amount = 2 where name = 'a'"), {
        lockTimeoutMs: 100,
      });
      expect(await failureOf(waiting)).toMatchObject({ code: 'conflict', facts: { sqlState: '55P03' } });
    });
  });

  test('of two rivals under serializable, the one that lost runs again', async () => {
    await add(database(), 'a');
    let runs = 0;
    await database().transaction(
      async (transaction) => {
        runs += 1;
        await transaction.query('select amount from ledger');
        if (runs === 1) await surroundings().asAdmin('update ledger set amount = amount + 1');
        await transaction.query('update ledger set amount = amount + 10');
      },
      { isolation: 'serializable' },
    );
    expect(runs).toBe(2);
    expect((await database().query('select amount from ledger')).rows).toEqual([{ amount: 12 }]);
  });

  test('of two that wait for each other, the one that is ended runs again', async () => {
    await add(database(), 'a');
    await add(database(), 'b');
    let runs = 0;
    let held = 0;
    const bothHaveOne = Promise.withResolvers<void>();
    const lockBoth = (first: string, second: string) =>
      database().transaction(
        async (transaction) => {
          runs += 1;
          await transaction.query('update ledger set amount = amount + 1 where name = $1', [first]);
          held += 1;
          if (held === 2) bothHaveOne.resolve();
          await bothHaveOne.promise;
          await transaction.query('update ledger set amount = amount + 1 where name = $1', [second]);
        },
        { lockTimeoutMs: 5_000 },
      );
    await Promise.all([lockBoth('a', 'b'), lockBoth('b', 'a')]);
    expect(runs).toBe(3);
    expect((await database().query('select amount from ledger')).rows).toEqual([{ amount: 3 }, { amount: 3 }]);
  });
}
