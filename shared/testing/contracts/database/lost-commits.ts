import { expect, test, vi } from 'vitest';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { add, failureOf, type World } from './world.ts';

export function lostCommitTests({ database, surroundings }: World): void {
  async function transactionCutAt(
    when: 'before' | 'while' | 'after',
    options?: Parameters<Database['transaction']>[1],
  ): Promise<{ runs: number; result: unknown }> {
    let runs = 0;
    const cut = surroundings().proxy.cutAt('commit\0', { when });
    const result = await database().transaction(async (transaction) => {
      runs += 1;
      await add(transaction, 'a');
      return runs;
    }, options);
    await cut;
    return { runs, result };
  }

  test('cut before the server got it: the work runs again', async () => {
    expect(await transactionCutAt('before')).toEqual({ runs: 2, result: 2 });
    expect((await database().query('select 1 from ledger')).rowCount).toBe(1);
  });

  test('cut after the server did it: the work is not repeated and its result is returned', async () => {
    expect(await transactionCutAt('after')).toEqual({ runs: 1, result: 1 });
    expect((await database().query('select 1 from ledger')).rowCount).toBe(1);
  });

  test('cut while the server is at it: its end is awaited', async () => {
    const { asAdmin } = surroundings();
    await asAdmin(`create or replace function dawdle() returns trigger language plpgsql as $$
      begin perform pg_sleep(0.7); return null; end $$`);
    await asAdmin(`create constraint trigger dawdle after insert on ledger deferrable initially deferred
      for each row execute function dawdle()`);
    try {
      expect(await transactionCutAt('while')).toEqual({ runs: 1, result: 1 });
    } finally {
      await asAdmin('drop trigger dawdle on ledger');
    }
    expect((await database().query('select 1 from ledger')).rowCount).toBe(1);
  });

  test("the caller's own look decides when there is one", async () => {
    const wasCommitted = vi.fn(async (queryable: Queryable) => {
      const { rowCount } = await queryable.query("select 1 from ledger where name = 'a'");
      return rowCount === 1;
    });
    expect(await transactionCutAt('after', { wasCommitted })).toEqual({ runs: 1, result: 1 });
    await surroundings().asAdmin('truncate ledger');
    expect(await transactionCutAt('before', { wasCommitted })).toEqual({ runs: 2, result: 2 });
    expect(wasCommitted).toHaveBeenCalledTimes(2);
  });

  test('a rule that is checked at COMMIT is not taken for a lost answer', async () => {
    const { asAdmin } = surroundings();
    await asAdmin('create table parent (id integer primary key)');
    await asAdmin('create table child (parent integer references parent deferrable initially deferred)');
    await asAdmin('grant all on parent, child to public');
    try {
      const failure = await failureOf(
        database().transaction((transaction) => transaction.query('insert into child values (1)')),
      );
      expect(failure).toMatchObject({ code: 'constraint-violated', facts: { constraint: 'child_parent_fkey' } });
    } finally {
      await asAdmin('drop table child, parent');
    }
  });
}
