import { setTimeout as delay } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { add, backend, failureOf, type World } from './world.ts';

export function faultTests({ open, database, surroundings }: World): void {
  test('a backend that is ended in the middle of a transaction: the work runs again', async () => {
    let runs = 0;
    await database().transaction(async (transaction) => {
      runs += 1;
      await add(transaction, 'a');
      if (runs === 1)
        await surroundings().asAdmin('select pg_terminate_backend($1, 5000)', [await backend(transaction)]);
      await add(transaction, 'b');
    });
    expect(runs).toBe(2);
    expect((await database().query('select 1 from ledger')).rowCount).toBe(2);
  });

  test('after three lost connections the failure is the caller’s', async () => {
    let runs = 0;
    const failure = await failureOf(
      database().transaction(async (transaction) => {
        runs += 1;
        await surroundings().asAdmin('select pg_terminate_backend($1, 5000)', [await backend(transaction)]);
        await add(transaction, 'a');
      }),
    );
    expect(failure.code).toBe('unavailable');
    expect(runs).toBe(3);
  });

  test('a restart in the middle of a transaction: the work runs again', async () => {
    let runs = 0;
    await database().transaction(async (transaction) => {
      runs += 1;
      await add(transaction, 'a');
      if (runs === 1) await surroundings().restart();
      await add(transaction, 'b');
    });
    expect(runs).toBe(2);
    expect((await database().query('select 1 from ledger')).rowCount).toBe(2);
  });

  test('connections that broke while nobody used them are told of and replaced', async () => {
    const onError = vi.fn();
    const one = open({ onError });
    await Promise.all([one.query('select pg_sleep(0.05)'), one.query('select pg_sleep(0.05)')]);
    surroundings().proxy.cutAll();
    await vi.waitFor(() => expect(onError).toHaveBeenCalledTimes(2), 15_000);
    expect(onError.mock.calls[0]?.[0]).toMatchObject({ code: 'unavailable' });
    expect((await one.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect(one.stats().total).toBe(1);
  });

  test('a connection that breaks under a statement is unavailable, and the process lives', async () => {
    const running = failureOf(database().query('select pg_sleep(5)'));
    await vi.waitFor(
      async () =>
        expect(
          await surroundings().asAdmin("select 1 from pg_stat_activity where query = 'select pg_sleep(5)'"),
        ).toHaveLength(1),
      15_000,
    );
    surroundings().proxy.cutAll();
    expect((await running).code).toBe('unavailable');
  });

  test('a pool whose connections are all in use says so in time', async () => {
    const small = open({ maxConnections: 1, connectTimeoutMs: 3_000 });
    await small.transaction(async () => {
      expect(await failureOf(small.query('select 1'))).toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('in use'),
      });
      const began = Date.now();
      expect((await failureOf(small.transaction(async () => 1))).code).toBe('unavailable');
      // waited once, not three times
      expect(Date.now() - began).toBeLessThan(8_000);
    });
    expect((await small.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('a pool that is ended lets the transaction under way finish', async () => {
    const one = open();
    const begun = Promise.withResolvers<void>();
    const done = one.transaction(async (transaction) => {
      await add(transaction, 'a');
      begun.resolve();
      await delay(50);
      await add(transaction, 'b');
    });
    await begun.promise;
    await one.end();
    await done;
    expect((await database().query('select 1 from ledger')).rowCount).toBe(2);
  });
}
