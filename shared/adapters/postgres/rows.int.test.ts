import { beforeAll, expect, test } from 'vitest';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import type { Database } from './database.ts';
import { tables } from './tables.ts';

const platform = platformOfThisFile();
let database: Database;
beforeAll(() => {
  database = platform();
});

test('the described tables are the live ones: names, types, order and what may be null', async () => {
  const { rows } = await database.query<{ table: string; column: string; type: string; nullable: boolean }>(
    `select class.relname as table, attname as column, format_type(atttypid, atttypmod) as type,
       not attnotnull as nullable
     from pg_attribute
     join pg_class class on class.oid = attrelid
     where class.relnamespace = 'public'::regnamespace and class.relkind = 'r'
       and attnum > 0 and not attisdropped and class.relname <> 'schema_migrations'
     order by class.relname, attnum`,
  );
  const live: Record<string, Record<string, string>> = {};
  for (const { table, column, type, nullable } of rows) {
    const columns = (live[table] ??= {});
    columns[column] = `${type.replace('timestamp with time zone', 'timestamptz')}${nullable ? '?' : ''}`;
  }
  expect(live).toEqual(tables);
  for (const [table, columns] of Object.entries(tables)) {
    expect(Object.keys(columns), table).toEqual(Object.keys(live[table] ?? {}));
  }
});

test('every table has a primary key', async () => {
  const { rows } = await database.query(
    `select relname from pg_class
     where relnamespace = 'public'::regnamespace and relkind = 'r'
       and not exists (select 1 from pg_constraint where conrelid = pg_class.oid and contype = 'p')`,
  );
  expect(rows).toEqual([]);
});
