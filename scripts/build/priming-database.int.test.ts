import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPrimingDatabase } from './priming-database.ts';

let database: Awaited<ReturnType<typeof startPrimingDatabase>>;
let client: Client;

const connection = () => ({ host: '127.0.0.1', port: database.port, user: 'u', database: 'd' });

beforeAll(async () => {
  database = await startPrimingDatabase('secret', {
    boxes: { id: { type: 23, text: '7' }, content: { type: 3802, text: '{"a":1}' }, note: { type: 25, text: null } },
  });
  client = new Client({ ...connection(), password: 'secret' });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.close();
});

const rows = async (text: string, values?: unknown[]) => (await client.query(text, values)).rows as unknown[];

it('is told from a server that knows the password by one with another', async () => {
  const stranger = new Client({ ...connection(), password: 'other' });
  await expect(stranger.connect()).rejects.toThrow(/server signature/);
  await stranger.end();
});

it('gives a row without a table, with and without values, and among several statements', async () => {
  expect(await rows('select 1 as a, (select max(x) from y) as b')).toEqual([{ a: '1', b: '1' }]);
  expect(await rows('select $1 as a', ['x'])).toEqual([{ a: '1' }]);
  const answers = (await client.query('begin; set local x = 1; select 1 as a')) as unknown as { command: string }[];
  expect(answers.map(({ command }) => command)).toEqual(['BEGIN', 'SET', 'SELECT']);
  await client.query('commit');
});

it('gives the row of a table it has one for, also of what is written there, and none of others', async () => {
  expect(await rows('select id, content from boxes where id = $1', [7])).toEqual([
    { id: 7, content: { a: 1 }, note: null },
  ]);
  expect(await rows('select id from others')).toEqual([]);
  expect(await rows('insert into boxes (id) values ($1) returning id', [7])).toEqual([
    { id: 7, content: { a: 1 }, note: null },
  ]);
  const { rowCount, rows: returned } = await client.query('insert into others (id) values ($1) returning id', [7]);
  expect({ rowCount, returned }).toEqual({ rowCount: 1, returned: [] });
});
