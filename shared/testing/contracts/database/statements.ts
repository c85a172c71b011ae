import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { add, failureOf, type World } from './world.ts';

export function statementTests({ open, database, surroundings }: World): void {
  test('values come back as they are typed', async () => {
    const { rows } = await database().query(
      `select 9007199254740991::bigint as big, 7 as small, true as yes, null as nothing, $1::text as word,
         $2::text[] as words, $3::jsonb as document, $4::bytea as bytes, $5::timestamptz as time, count(*) as counted
       from ledger`,
      ['ä"\\\'{}', ['a,b', '"', 'NULL'], JSON.stringify(['x']), Buffer.from([0, 255]), new Date(86_400_123)],
    );
    expect(rows).toEqual([
      {
        big: 9007199254740991,
        small: 7,
        yes: true,
        nothing: null,
        word: 'ä"\\\'{}',
        words: ['a,b', '"', 'NULL'],
        document: ['x'],
        bytes: Buffer.from([0, 255]),
        time: new Date(86_400_123),
        counted: 0,
      },
    ]);
  });

  test('a bigint beyond 2^53 is an error, not a wrong number', async () => {
    const failure = await failureOf(database().query('select 9007199254740993::bigint as big'));
    expect(failure.code).toBe('internal');
    expect((await database().query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('rowCount says how many rows were changed', async () => {
    await database().query("insert into ledger select 'n' || g, g from generate_series(1, 3) g");
    expect((await database().query('update ledger set amount = 0 where amount > $1', [1])).rowCount).toBe(2);
  });

  test('a refused value is named by its constraint and shown nowhere', async () => {
    await add(database(), 'a secret value');
    const failure = await failureOf(add(database(), 'a secret value'));
    expect(failure.code).toBe('constraint-violated');
    expect(failure.facts).toEqual({ sqlState: '23505', constraint: 'ledger_pkey', table: 'ledger' });
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('a secret value');
  });

  test.each([
    ["select 'a secret value'::integer", 'invalid-request'],
    ["select 'a secret value'::uuid", 'invalid-request'],
    ['select no_such_column', 'internal'],
    ["do $$ begin raise exception 'a secret value'; end $$", 'internal'],
  ] as const)('%s is a failure without its values', async (text, code) => {
    const failure = await failureOf(database().query(text));
    expect(failure.code).toBe(code);
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('a secret value');
  });

  test('a NUL byte is refused', async () => {
    expect((await failureOf(add(database(), 'a\0b'))).code).toBe('invalid-request');
  });

  test('a failed statement costs no connection', async () => {
    const one = open({ maxConnections: 1 });
    await failureOf(one.query('select 1 / 0'));
    expect(one.stats()).toEqual({ total: 1, idle: 1, waiting: 0, max: 1 });
  });

  test('a statement that gets no answer in time ends, and its connection with it', async () => {
    const hasty = open({ maxConnections: 1, queryTimeoutMs: 3_000 });
    expect((await failureOf(hasty.query('select pg_sleep(8)'))).code).toBe('timeout');
    expect((await hasty.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    expect(hasty.stats().total).toBe(1);
  });

  test('no connection is made before the first statement, and kept ones are used again', async () => {
    const one = open();
    expect(one.stats()).toEqual({ total: 0, idle: 0, waiting: 0, max: 5 });
    for (let index = 0; index < 5; index += 1) await one.query('select 1');
    expect(one.stats()).toEqual({ total: 1, idle: 1, waiting: 0, max: 5 });
  });

  test('after its end a pool says so, and ending twice is harmless', async () => {
    const one = open();
    await one.query('select 1');
    await Promise.all([one.end(), one.end()]);
    expect(await failureOf(one.query('select 1'))).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('is closed'),
    });
    expect((await failureOf(one.transaction(async () => 1))).code).toBe('unavailable');
    expect(one.stats().total).toBe(0);
  });

  test('a wrong password is a mistake of the configuration and is not shown', async () => {
    const failure = await failureOf(open({ password: 'a wrong password' }).query('select 1'));
    expect(failure.code).toBe('misconfigured');
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('a wrong password');
  });

  test('a server that is down is unavailable, and used when it is up', async () => {
    surroundings().proxy.refuse();
    const one = open();
    expect((await failureOf(one.query('select 1'))).code).toBe('unavailable');
    surroundings().proxy.accept();
    expect((await one.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });
}
