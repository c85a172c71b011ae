import { randomUUID } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { insertOwn, needNothing, type Own, ownOf, pathOf, recipes } from './fault-calls.fixture.ts';
import { faultWorldOfThisFile, type Part } from './fault-world.fixture.ts';
import type { Route } from './route.ts';
import { routesOf } from './routes.ts';
import type { Asked } from './served-api.fixture.ts';

// a round is some seventy calls, and those that hang take their time
vi.setConfig({ testTimeout: 300_000 });
const world = faultWorldOfThisFile();

type Fault = { part: Part; how: 'down' | 'hangs' };
const faults: Fault[] = (['bouncer', 'server', 'redis', 'broker'] as const).flatMap((part) => [
  { part, how: 'down' },
  { part, how: 'hangs' },
]);

/** Everything that a route may change, as one text. When a key was used last is nobody's request. */
const changed = [
  'operations',
  'outbox',
  'idempotency_keys',
  'instances',
  'suspensions',
  'audit',
  'dead_events',
  'custom_domains',
  'webhook_endpoints',
  'webhook_deliveries',
  'bounced_addresses',
  'customers',
  'backups',
  '(select id, name, revoked_at from api_keys)',
];

async function recordsNow(): Promise<Record<string, string>> {
  const digests = changed.map(
    (table, at) => `(select md5(string_agg(t::text, '' order by t::text)) from ${table} t) as t${at}`,
  );
  const { rows } = await world().records.query<Record<string, string>>(`select ${digests.join(', ')}`);
  return Object.fromEntries(changed.map((table, at) => [table, rows[0]?.[`t${at}`] ?? '']));
}

type Call = { route: Route; own: Own; key: string };
let numbers = 0;

/** A call for each route, with rows of its own that are ready for it. */
async function callsOfAll(): Promise<Call[]> {
  const { records, api } = world();
  const calls = routesOf(api.ports).map((route) => {
    numbers += 1;
    return { route, own: ownOf(numbers), key: randomUUID() };
  });
  for (const { route, own } of calls) {
    await insertOwn(records, own);
    const { ready } = recipeOf(route);
    if (ready !== undefined) await records.query(ready, [own.instance]);
  }
  return calls;
}

function recipeOf({ operationId }: Route) {
  const recipe = recipes[operationId];
  if (recipe === undefined) throw new Error(`${operationId} has no row: write its recipe into fault-calls.fixture.ts`);
  return recipe;
}

const statusOf = async (path: string) => (await world().api.ask('nobody', 'GET', path)).status;

type Seen = Asked | 'no answer';

/** As long as the route may take, and enough for a busy machine. */
async function ask({ route, own, key }: Call): Promise<Seen> {
  const { api, authorization } = world();
  const body = recipeOf(route).body?.(own);
  const headers = { authorization, 'idempotency-key': key };
  const asked = api.ask('nobody', route.method, pathOf(route, own), { headers, ...(body !== undefined && { body }) });
  const late = Promise.withResolvers<'no answer'>();
  const timer = setTimeout(() => late.resolve('no answer'), (route.deadlineMs ?? 10_000) + 60_000);
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A cell of the table. */
function cellOf(seen: Seen): string {
  if (seen === 'no answer') return seen;
  const { status, body, headers } = seen;
  const words = [
    String(status),
    status >= 400 && body !== undefined && 'code' in body ? String(body.code) : undefined,
    status >= 500 && headers.has('retry-after') ? `retry after ${headers.get('retry-after')} s` : undefined,
    headers.get('x-cache') ?? undefined,
    body !== undefined && 'fate' in body ? String(body.fate) : undefined,
  ];
  return words.filter((word) => word !== undefined).join(' ');
}

function codeOf(seen: Seen): string | undefined {
  if (seen === 'no answer') return seen;
  return seen.body !== undefined && 'code' in seen.body ? String(seen.body.code) : undefined;
}

/** For whoever reads the table: where it is seconds. */
function timeOf(seen: Seen): string {
  const milliseconds = seen === 'no answer' ? 0 : Number.parseFloat(seen.headers.get('x-response-time') ?? '0');
  return milliseconds < 1_000 ? '' : `, ${(milliseconds / 1_000).toFixed(0)} s`;
}

const kept = /^(200|201|202|204|404)/;
const isOfDatabase = ({ part }: Fault) => part === 'bouncer' || part === 'server';

/** The whole table, as a rule: which cells there may be for a route and a fault. */
function expected({ operationId, method }: Route, fault: Fault, well: string): RegExp {
  if (isOfDatabase(fault)) {
    if (needNothing.has(operationId)) return exactly(well);
    // the key is remembered for some seconds
    if (operationId === 'getCaller') return /^(200|503 (unavailable|timeout) retry after 2 s)$/;
    if (operationId === 'getHealth') return /^503 retry after 2 s$/;
    // a busy machine may be late for it
    if (fault.how === 'down') return /^503 (unavailable|timeout) retry after 2 s$/;
    // a change that was begun may have been done
    return method === 'GET'
      ? /^503 (unavailable|timeout) retry after 2 s$/
      : /^503 (unavailable|timeout|outcome-unknown) retry after 2 s$/;
  }
  // a busy machine may have gone without the cache
  const [status, cached] = well.split(/ (?=MISS|BYPASS)/);
  if (cached !== undefined) return new RegExp(`^${status} (${fault.part === 'redis' ? '' : 'MISS|'}BYPASS)$`);
  return exactly(operationId === 'replayDeadEvent' && fault.part === 'broker' ? well.replace('sent', 'failed') : well);
}

const exactly = (text: string) => new RegExp(`^${text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);

/** What is said to whoever cannot be served: what to do, and nothing of our servers. */
function expectRemedy(seen: Seen, route: Route): void {
  if (seen === 'no answer' || seen.status < 500) return;
  const { headers, body, text } = seen;
  expect([route.operationId, text]).toEqual([
    route.operationId,
    expect.not.stringMatching(/127\.0\.0\.1|test_|postgres|bouncer|ECONN|\.ts:\d/i),
  ]);
  if (route.operationId === 'getHealth') return;
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(body).toMatchObject({
    status: 503,
    title: 'Not possible now',
    detail: expect.stringMatching(/Try again|Repeat the request|look before you repeat/),
    errors: [{ field: expect.any(String) }],
  });
}

const table = new Map<string, string[]>();
const nameOf = ({ method, path }: Route) => `${method} ${path}`;
const wells = new Map<string, string>();

describe('when all is well', () => {
  it('each route does what it is for, so that the other columns mean something', async () => {
    const calls = await callsOfAll();
    const answers = await Promise.all(calls.map(ask));
    const wrong: string[] = [];
    for (const [at, { route }] of calls.entries()) {
      const cell = cellOf(answers[at] ?? 'no answer');
      wells.set(route.operationId, cell);
      table.set(nameOf(route), [cell]);
      if (!cell.startsWith(String(recipeOf(route).well)))
        wrong.push(`${route.operationId}: ${cell} ${(answers[at] as Asked).text}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe.each(faults)('while the $part $how', (fault) => {
  let calls: Call[];
  let answers: Seen[];

  it('each route answers in time as the table says', async () => {
    calls = await callsOfAll();
    const before = await recordsNow();
    world().take(fault.part, fault.how);
    try {
      // health is looked at once a second
      if (isOfDatabase(fault)) await expect.poll(() => statusOf('/v1/health'), { timeout: 30_000 }).toBe(503);
      answers = await Promise.all(calls.map(ask));
    } finally {
      await world().giveBack();
    }
    const wrong: string[] = [];
    for (const [at, { route }] of calls.entries()) {
      const seen = answers[at] ?? 'no answer';
      const cell = cellOf(seen);
      table.get(nameOf(route))?.push(cell + timeOf(seen));
      if (!expected(route, fault, wells.get(route.operationId) ?? '').test(cell))
        wrong.push(`${nameOf(route)}: ${cell}`);
      expectRemedy(seen, route);
    }
    expect(wrong).toEqual([]);
    // Nothing half written, and nothing that is done later by what waited. Who is late over something says so.
    const isSure = !answers.some((seen) => codeOf(seen) === 'outcome-unknown');
    if (isOfDatabase(fault) && isSure) expect(await recordsNow()).toEqual(before);
  });

  it('what was accepted is there, and afterwards the same call is answered as when all is well, and done once', async () => {
    const { records } = world();
    const wrong: string[] = [];
    for (const [at, call] of calls.entries()) {
      const { route } = call;
      const during = answers[at] ?? 'no answer';
      const isDone = during !== 'no answer' && kept.test(String(during.status));
      const { well, again = well } = recipeOf(route);
      const after = await ask(call);
      const isKeyed = route.takes?.['idempotency-key'] !== undefined;
      const wanted = codeOf(during) === 'outcome-unknown' ? [well, again] : [isDone && !isKeyed ? again : well];
      if (!wanted.some((status) => cellOf(after).startsWith(String(status))))
        wrong.push(`${nameOf(route)}: ${cellOf(after)}, not ${wanted.join(' or ')}`);
      if (!isKeyed || after === 'no answer') continue;
      const repeated = (await ask(call)) as Asked;
      expect([route.operationId, repeated.body]).toEqual([route.operationId, after.body]);
      expect(repeated.headers.get('idempotency-replayed')).toBe('true');
      if (isDone) expect([route.operationId, after.body]).toEqual([route.operationId, (during as Asked).body]);
      const first = 'items' in after.body ? after.body.items[0] : after.body;
      const operation = 'operation' in first ? first.operation : first;
      const { rows } = await records.query('select 1 from operations where id = $1::uuid', [operation.id]);
      expect([route.operationId, rows.length]).toEqual([route.operationId, 1]);
    }
    expect(wrong).toEqual([]);
  });
});

it('the table is printed for whoever asks for it by FAULT_TABLE=1', () => {
  for (const cells of table.values()) expect(cells).toHaveLength(1 + faults.length);
  if (process.env['FAULT_TABLE'] !== '1') return;
  const heads = ['route', 'all is well', ...faults.map(({ part, how }) => `${part} ${how}`)];
  const lines = [...table].map(([name, cells]) => `| ${[name, ...cells].join(' | ')} |`);
  process.stdout.write(`| ${heads.join(' | ')} |\n|${' --- |'.repeat(heads.length)}\n${lines.join('\n')}\n`);
});
