import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { believedAfterMs } from '#shared/domain/observation/observation.ts';
import { openObserve } from './drive.ts';
import { requestOf } from './message.ts';
import { idOf, instances, pgbenchId } from './world.ts';

type Statement = { text: string; values: readonly unknown[] };

/**
 * The statements that the function sends for one event alone, as scripts for pgbench: one for good news, one for bad
 * news that is noted, one for bad news that is believed. They are what went over the wire, with other instances, ids and
 * versions in the place of those of that one event.
 */
export async function captureScripts(database: Database): Promise<{ name: string; text: string }[]> {
  const id = idOf(1);
  const send = openObserve(database);
  const steps = [
    { name: 'changed-to-running', outcome: 'changed', isAvailable: true, afterMs: 0 },
    { name: 'noted', outcome: 'noted', isAvailable: false, afterMs: 0 },
    { name: 'changed-to-error', outcome: 'changed', isAvailable: false, afterMs: believedAfterMs + 100 },
  ];
  const scripts: { name: string; text: string }[] = [];
  for (const { name, outcome, isAvailable, afterMs } of steps) {
    await delay(afterMs);
    const request = requestOf(id, isAvailable);
    const version = String(
      (JSON.parse(request.body.toString()) as { metadata: { resourceVersion: string } }).metadata.resourceVersion,
    );
    const { statements, result } = await capture(() => send(request));
    if (result !== outcome) throw new Error(`the event to capture was answered ${result}, not ${outcome}`);
    const eventId = request.headers['ce-id'] ?? '';
    scripts.push({ name, text: scriptOf(statements, { id, version, eventId }) });
  }
  return scripts;
}

/** What the driver is given while `work` runs. */
async function capture<Result>(work: () => Promise<Result>): Promise<{ statements: Statement[]; result: Result }> {
  const statements: Statement[] = [];
  const prototype = pg.Client.prototype as unknown as { query: (...args: unknown[]) => unknown };
  const original = prototype.query;
  prototype.query = function query(this: unknown, ...args: unknown[]) {
    const [text, values] = args;
    if (typeof text === 'string') statements.push({ text, values: Array.isArray(values) ? values : [] });
    return original.apply(this, args);
  };
  try {
    return { statements, result: await work() };
  } finally {
    prototype.query = original;
  }
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g;

/** pgbench puts the values of its variables into the text, also inside quotes. */
function scriptOf(statements: readonly Statement[], one: { id: string; version: string; eventId: string }): string {
  const lines = statements.map(({ text, values }) => {
    const literal = text.replaceAll(/\$(\d+)/g, (_, number: string) => quoted(values[Number(number) - 1]));
    const general = literal
      .replaceAll(one.eventId, 'bench-:e')
      .replaceAll(one.id, ':id')
      // grows as the versions of a cluster do
      .replaceAll(`'{"${one.version}"}'::bigint[]`, 'array[(extract(epoch from clock_timestamp()) * 1e6)::bigint]')
      .replaceAll(`'{${one.version}}'::bigint[]`, 'array[(extract(epoch from clock_timestamp()) * 1e6)::bigint]')
      .replaceAll(uuid, '00000000-0000-8000-8000-:e')
      // pgbench gives up at the first error: a busy machine must not end it
      .replaceAll(/(lock|statement)_timeout = \d+/g, '$1_timeout = 60000')
      .replaceAll(/\s*\n\s*/g, ' ');
    // several statements of one round trip stay one
    return `${general.replaceAll('; ', ' \\; ')};`;
  });
  return [
    `\\set n random(0, ${instances - 1})`,
    `\\set id ${pgbenchId}`,
    '\\set e random(100000000000, 999999999999)',
    ...lines,
    '',
  ].join('\n');
}

function quoted(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  const text = Array.isArray(value) ? arrayText(value) : plain(value);
  return `'${text.replaceAll("'", "''")}'`;
}

/** Values as the driver sends them: texts, numbers, truth values, bytes and times. */
function plain(value: unknown): string {
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function arrayText(values: readonly unknown[]): string {
  const items = values.map((value) => {
    if (value === null || value === undefined) return 'NULL';
    return `"${plain(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  });
  return `{${items.join(',')}}`;
}
