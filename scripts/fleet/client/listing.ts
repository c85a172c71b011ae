import { Failure } from '#shared/domain/failure.ts';
import type { Api } from './api.ts';
import { type Call, type Result, textOf } from './command.ts';
import { fitted, fittedFacts } from './fit.ts';

/** `next` is not there in lists that are never long. */
type Page = { items: unknown[]; next?: string | null };

/** Of all lists. */
export const listOptions = [
  ['--limit <number>', 'how many, 1 to 100; 20 unless stated'],
  ['--all', 'all there are'],
] as const;

/** One more than that is not what somebody reads; and it ends. */
const mostPages = 1_000;

/** A list of the API as a table: `heads` over what `cells` makes of each item. */
export async function listed<Item>(
  call: Call,
  path: string,
  shown: {
    query: readonly string[];
    fixed?: Readonly<Record<string, string | undefined>>;
    heads: readonly string[];
    cells: (item: Item) => string[];
    none: string;
  },
): Promise<Result> {
  const filters = Object.fromEntries(shown.query.map((name) => [name, textOf(call.options, name)]));
  const { items, next } = await readItems(call.api(), path, {
    query: { ...filters, ...shown.fixed },
    limit: textOf(call.options, 'limit'),
    isAll: call.options['all'] === true,
  });
  const lines =
    items.length === 0
      ? [shown.none]
      : fitted([shown.heads, ...items.map((item) => shown.cells(item as Item))], call.screen.columns);
  return { json: { items, next }, lines: next === null ? lines : [...lines, 'There are more: --all shows them.'] };
}

async function readItems(
  api: Api,
  path: string,
  { query, limit, isAll }: { query: Record<string, string | undefined>; limit: string | undefined; isAll: boolean },
): Promise<{ items: unknown[]; next: string | null }> {
  const asked = { ...query, limit: limit ?? (isAll ? '100' : undefined) };
  const items: unknown[] = [];
  let cursor: string | undefined;
  for (let count = 0; count < mostPages; count += 1) {
    const page = (await api.get(path, { ...asked, cursor })) as Page;
    items.push(...page.items);
    const next = page.next ?? null;
    if (!isAll || next === null) return { items, next };
    cursor = next;
  }
  throw new Failure('too-large', `There are more than ${items.length}: name what you look for.`);
}

/** Members and what they are, one a line; what is not there is `-`. */
export function facts(body: unknown, { columns }: { columns?: number | undefined } = {}): string[] {
  return fittedFacts(factsOf(body as Record<string, unknown>, ''), columns);
}

function factsOf(body: Record<string, unknown>, before: string): [string, string][] {
  return Object.entries(body).flatMap(([name, value]): [string, string][] => {
    const whole = `${before}${name}`;
    if (value === null || value === undefined || value === '') return [[whole, '-']];
    if (Array.isArray(value)) return [[whole, value.length === 0 ? '-' : value.map(cellOf).join(', ')]];
    if (typeof value === 'object') return factsOf(value as Record<string, unknown>, `${whole}.`);
    return [[whole, cellOf(value)]];
  });
}

const cellOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A time of the API without its fraction; `-` for none. */
export const timeCell = (time: string | null): string => time?.replace(/\.\d+Z$/, 'Z') ?? '-';
