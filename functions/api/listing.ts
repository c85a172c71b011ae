import * as v from 'valibot';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { invalidRequest } from './problem.ts';

const wholeNumber = (from: number, to: number) =>
  v.pipe(
    v.string(),
    v.regex(/^[0-9]{1,9}$/, `Write a whole number from ${from} to ${to}.`),
    v.transform(Number),
    v.minValue(from, `Write a whole number from ${from} to ${to}.`),
    v.maxValue(to, `Write a whole number from ${from} to ${to}.`),
  );

/** The highest page. Whoever wants to see more goes on by the cursor, which costs the same at every place. */
const lastPage = 500;

/** Entries of a list's query schema. `sorts`: names that `sort` takes, each also with `-` for descending; the first is the default. */
export function listQuery<const Sorts extends readonly [string, ...string[]]>(sorts: Sorts) {
  const words = sorts.flatMap((name) => [name, `-${name}`]);
  return {
    limit: v.optional(wholeNumber(1, 100), '20'),
    cursor: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,600}$/, 'Give `next` of the answer before.'))),
    page: v.optional(wholeNumber(1, lastPage)),
    total: v.optional(
      v.pipe(
        v.picklist(['true', 'false'], 'Write true or false.'),
        v.transform((word) => word === 'true'),
      ),
      'false',
    ),
    sort: v.optional(v.picklist(words, `Choose from ${words.join(', ')}.`), `-${sorts[0]}`),
  };
}

export type ListQuery = {
  limit: number;
  cursor?: string | undefined;
  page?: number | undefined;
  total: boolean;
  sort: string;
};

/** The schema of a list's body. */
export function listOf<Item extends v.GenericSchema>(item: Item) {
  return v.strictObject({
    items: v.array(item),
    /** For `cursor=` of the next request; null at the end. */
    next: v.nullable(v.string()),
    /** Of all pages, where `total=true` asked for it. */
    total: v.optional(v.pipe(v.number(), v.integer())),
  });
}

/** Comma-separated words of a closed list. */
export function wordsOf<const Words extends readonly string[]>(words: Words) {
  const text = `Choose from ${words.join(', ')}, separated by commas.`;
  return v.pipe(
    v.string(),
    v.transform((list) => list.split(',')),
    v.array(v.picklist(words, text)),
  );
}

/** A piece of SQL in which every `$` stands for the value; left out when the value is undefined. */
export type Condition = readonly [sql: string, value: unknown];

export type ListSource = {
  /** What follows `select`. */
  columns: string;
  /** What follows `from`. */
  from: string;
  conditions: readonly Condition[];
  /** SQL of what a name of `sort` means, and its type. */
  sorts: Readonly<Record<string, { sql: string; type: 'text' | 'timestamptz' | 'bigint' }>>;
  /** What tells rows of one sort value apart. */
  id: { sql: string; type: 'text' | 'uuid' | 'bigint' };
};

/** One page of rows: filtered, sorted and cut in SQL. @throws Failure `invalid-request` for a cursor of another list. */
export async function readPage<Row extends object>(
  queryable: Queryable,
  source: ListSource,
  query: ListQuery,
): Promise<{ rows: Row[]; next: string | null; total?: number }> {
  if (query.cursor !== undefined && query.page !== undefined)
    throw invalidRequest([{ field: 'query.page', detail: 'Give a cursor or a page, not both.' }]);
  const isDescending = query.sort.startsWith('-');
  const name = isDescending ? query.sort.slice(1) : query.sort;
  const sort = source.sorts[name];
  if (sort === undefined) throw invalidRequest([{ field: 'query.sort', detail: 'It is not known here.' }]);
  const given = source.conditions.filter(([, value]) => value !== undefined);
  const values: unknown[] = given.map(([, value]) => value);
  const wheres = given.map(([sql], at) => sql.replaceAll('$', `$${at + 1}`));
  const counted = query.total ? countRows(queryable, source.from, { wheres, values }) : undefined;
  // awaited after the page; a failure before must not go unheard
  counted?.catch(() => undefined);

  const after = query.cursor === undefined ? undefined : openCursor(query.cursor, { sort: query.sort, source });
  const [order, than] = isDescending ? ['desc', '<'] : ['asc', '>'];
  const paged = [...wheres];
  const pagedValues = [...values];
  if (after !== undefined) {
    const [at, idAt] = [pagedValues.push(after.at), pagedValues.push(after.id)];
    paged.push(`(${sort.sql}, ${source.id.sql}) ${than} ($${at}::${sort.type}, $${idAt}::${source.id.type})`);
  }
  const limitAt = pagedValues.push(query.limit + 1);
  const offsetAt = pagedValues.push(((query.page ?? 1) - 1) * query.limit);
  const { rows } = await queryable.query<Row & { page_at: string; page_id: string }>(
    `select ${source.columns}, (${sort.sql})::text as page_at, (${source.id.sql})::text as page_id
     from ${source.from} ${whereOf(paged)}
     order by ${sort.sql} ${order}, ${source.id.sql} ${order} limit $${limitAt} offset $${offsetAt}`,
    pagedValues,
  );
  const shown = rows.slice(0, query.limit);
  const last = shown.at(-1);
  const next =
    rows.length > query.limit && last !== undefined
      ? sealCursor({ sort: query.sort, at: last.page_at, id: last.page_id })
      : null;
  const total = counted === undefined ? {} : { total: await counted };
  return { rows: shown.map(withoutPlace) as Row[], next, ...total };
}

function withoutPlace<Row extends { page_at: string; page_id: string }>(row: Row): Omit<Row, 'page_at' | 'page_id'> {
  const { page_at: _at, page_id: _id, ...rest } = row;
  return rest;
}

function whereOf(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `where ${conditions.map((one) => `(${one})`).join(' and ')}`;
}

async function countRows(
  queryable: Queryable,
  from: string,
  { wheres, values }: { wheres: readonly string[]; values: readonly unknown[] },
): Promise<number> {
  const { rows } = await queryable.query<{ total: number }>(
    `select count(*)::integer as total from ${from} ${whereOf(wheres)}`,
    values,
  );
  return rows[0]?.total ?? 0;
}

type Place = { sort: string; at: string; id: string };

function sealCursor({ sort, at, id }: Place): string {
  return Buffer.from(JSON.stringify([sort, at, id])).toString('base64url');
}

/** A cursor is only a place in an order: whoever makes one up sees nothing he may not see. */
function openCursor(text: string, { sort, source }: { sort: string; source: ListSource }): Place {
  const wrong = invalidRequest([
    { field: 'query.cursor', detail: 'It is none of this list in this order: begin anew.' },
  ]);
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    throw wrong;
  }
  if (!v.is(placeSchema, place) || place[0] !== sort) throw wrong;
  const [, at, id] = place;
  const type = source.sorts[sort.replace(/^-/, '')]?.type ?? 'text';
  if (!shapes[type].test(at) || !shapes[source.id.type].test(id)) throw wrong;
  return { sort, at, id };
}

const placeSchema = v.strictTuple([
  v.string(),
  v.pipe(v.string(), v.maxLength(300)),
  v.pipe(v.string(), v.maxLength(100)),
]);

// what PostgreSQL would refuse with an error of its own
const shapes = {
  text: /^[^\0]*$/,
  bigint: /^\d{1,18}$/,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  timestamptz: /^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:\d\d){0,2}$/,
} as const;
