import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { Done, Screen } from './screen.ts';
import { sizeOf, table } from './screen.ts';

const everyMs = 500;

type OperationRow = {
  id: string;
  kind: string;
  instance_id: string;
  state: string;
  step: string | null;
  waiting_for: string | null;
  progress: { phase?: string; done?: number; total?: number | null; unit?: string } | null;
  error_code: string | null;
  error_text: string | null;
  seconds: number;
};

const operationText = `
  select id, kind, instance_id, state, step, waiting_for, progress, error_code, error_text,
    extract(epoch from coalesce(finished_at, clock_timestamp()) - created_at)::float8 as seconds
  from operations where id = $1`;

const outcomeText = 'select operation_id, outcome from inbox where source = $1 and id = $2';
const refusalText = `select detail ->> 'code' as code, detail ->> 'text' as text from audit
  where instance_id = $1 and action = $2 and detail ->> 'event' = $3`;
const deadText = `select reason from dead_events where source = $1 and id = $2 order by received_at desc limit 1`;

/** How long to wait, and where to say how far it is. `untilMs` by the clock of `performance.now`. */
export type Following = { screen: Screen; untilMs: number };

export type Asked = { source: string; eventId: string; kind: string; instanceId: string };

/**
 * The operation that a request came to. Undefined when nobody has taken it in time: it is sent all the same.
 * @throws Failure with the code and text of the refusal.
 */
export async function acceptedAs(database: Database, asked: Asked, following: Following): Promise<string | undefined> {
  for (;;) {
    const { rows } = await database.query<{ operation_id: string | null; outcome: string }>(outcomeText, [
      asked.source,
      asked.eventId,
    ]);
    const found = rows[0];
    if (found?.operation_id != null) return found.operation_id;
    if (found !== undefined) throw await refusalOf(database, asked, found.outcome);
    const dead = await database.query<{ reason: string }>(deadText, [asked.source, asked.eventId]);
    if (dead.rows[0] !== undefined) throw new Failure('not-allowed', `The request was refused: ${dead.rows[0].reason}`);
    if (performance.now() >= following.untilMs) return undefined;
    following.screen.progress?.('Waiting for the request to be taken ...');
    await delay(everyMs);
  }
}

async function refusalOf(database: Database, asked: Asked, outcome: string): Promise<Failure> {
  const values = [asked.instanceId, `${asked.kind}.refused`, asked.eventId];
  const { rows } = await database.query<{ code: string; text: string }>(refusalText, values);
  return new Failure('not-allowed', rows[0] === undefined ? `The request was ${outcome}.` : rows[0].text);
}

/**
 * Waits for the end of an operation. `isDone` is false when it failed or was cancelled; an operation that has not ended in
 * time is none of these: its state says so.
 * @throws Failure `not-found` when there is no such operation.
 */
export async function follow(database: Database, operationId: string, following: Following): Promise<Done> {
  for (;;) {
    const row = (await database.query<OperationRow>(operationText, [operationId])).rows[0];
    if (row === undefined) throw new Failure('not-found', `There is no operation ${operationId}.`);
    const hasEnded = ['succeeded', 'failed', 'cancelled'].includes(row.state);
    if (hasEnded || performance.now() >= following.untilMs) {
      following.screen.progress?.(undefined);
      return await told(database, row, hasEnded);
    }
    following.screen.progress?.(progressLine(row));
    await delay(everyMs);
  }
}

/** Such as `backup 12 s: make-backup, dump 1.2 GiB of 3.4 GiB (35 %)`. */
export function progressLine(
  row: Pick<OperationRow, 'kind' | 'state' | 'step' | 'waiting_for' | 'progress' | 'seconds'>,
): string {
  const { phase, done, total, unit } = row.progress ?? {};
  const amount = (count: number) => (unit === 'bytes' ? sizeOf(count) : `${count} ${unit ?? ''}`.trimEnd());
  const far =
    phase === undefined || done === undefined
      ? (row.waiting_for ?? row.state)
      : `${phase} ${amount(done)}${total ? ` of ${amount(total)} (${Math.min(100, Math.floor((done / total) * 100))} %)` : ''}`;
  return `${row.kind} ${Math.floor(row.seconds)} s: ${row.step === null ? '' : `${row.step}, `}${far}`;
}

/** What the event of its success says, in words that are its members' names. */
async function told(database: Database, row: OperationRow, hasEnded: boolean): Promise<Done> {
  const { id, kind, state, step } = row;
  const error = state === 'failed' ? { code: row.error_code, text: row.error_text } : null;
  const said = state === 'succeeded' ? await successOf(database, id) : {};
  const seconds = Math.round(row.seconds * 10) / 10;
  const json = { operation: id, kind, instance: row.instance_id, state, step, seconds, error, ...said };
  const known = new Set(['instance', 'customer', 'operation', 'kind', 'seconds', 'result']);
  const facts = Object.entries(said).flatMap(([name, value]) => {
    const isShown = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    return isShown && !known.has(name) ? [[name, String(value)]] : [];
  });
  const end = { succeeded: `is done after ${seconds} s`, cancelled: 'was cancelled' }[state];
  const failed = state === 'failed' ? `failed: ${row.error_text ?? ''} (${row.error_code ?? ''})` : undefined;
  const lines = [`The ${kind}, operation ${id}, ${end ?? failed ?? `is ${state}: follow it with "follow ${id}"`}.`];
  return { json, lines: [...lines, ...table(facts)], isDone: !hasEnded || state === 'succeeded' };
}

async function successOf(database: Database, operationId: string): Promise<Record<string, unknown>> {
  const { rows } = await database.query<{ data: Record<string, unknown> }>(
    `select data from outbox where data ->> 'operation' = $1 and (type like '%.succeeded' or type like '%.provisioned')
     order by sequence desc limit 1`,
    [operationId],
  );
  return rows[0]?.data ?? {};
}
