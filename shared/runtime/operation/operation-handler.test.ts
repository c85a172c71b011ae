import { pino } from 'pino';
import { expect, test } from 'vitest';
import { operationAdvance } from '#events/operation/advance.ts';
import { operationCancel } from '#events/operation/cancel.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { StepContext } from '#shared/domain/operation/step.ts';
import { makeMetrics } from '../metrics.ts';
import type { Platform } from '../platform.ts';
import { type OperationCommandEvent, operationHandler } from './operation-handler.ts';
import type { RunnableOperation } from './run.ts';

/** A handler whose database is away. */
function makeHandler() {
  const away = () => Promise.reject(new Failure('unavailable', 'The database is away.'));
  const lines: string[] = [];
  let flushed = 0;
  const platform = {
    database: { query: away, transaction: away } as unknown as Database,
    metrics: makeMetrics({ functionName: 'provision' }),
    log: pino({}, { write: (line: string) => void lines.push(line) }),
    flush: async () => void (flushed += 1),
    holder: 'test',
  } as unknown as Platform;
  const work = { definition: { kind: 'provision', version: 1, deadlineMs: 1, steps: [] } };
  const handler = operationHandler(platform, work as unknown as RunnableOperation<StepContext>, {
    leaseMs: 30_000,
    budgetMs: 25_000,
  });
  return { handler, lines, flushed: () => flushed };
}

const anybody = { customerId: null };

const event = (type: string, change: Record<string, unknown> = {}) =>
  ({ type, id: 'id-1', source: 'urn:x', data: { ...operationAdvance.example, ...change } }) as OperationCommandEvent;

test('an advance that breaks off is done all the same: the tick goes on with it', async () => {
  const { handler, lines, flushed } = makeHandler();
  expect(await handler.command(event(operationAdvance.type), anybody)).toBe('broke-off');
  expect(await handler.goOn(operationAdvance.example.operation)).toBe('broke-off');
  expect(flushed()).toBe(2);
  expect(lines.join()).toContain('The database is away.');
});

test('a command that could not be written is delivered again', async () => {
  const { handler } = makeHandler();
  await expect(handler.command(event(operationCancel.type), anybody)).rejects.toMatchObject({ code: 'unavailable' });
});

test('a command for another kind of operation is told to mend its way', async () => {
  const { handler } = makeHandler();
  await expect(handler.command(event(operationAdvance.type, { kind: 'suspend' }), anybody)).rejects.toMatchObject({
    code: 'invalid-event',
    message: 'data.kind is suspend, but this function carries out provision. Mend the Trigger or the sender.',
  });
});
