import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { contextOf, runInContext } from '#shared/adapters/tracing/request-context.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { flushOutbox, type Publish } from './outbox.ts';
import { eventsOfProcess, eventsOfRequest, type OwnEvents } from './own-events.ts';

const database = platformOfThisFile();
let sent: OutgoingEvent[];
let warnings: string[];
const log = { warn: (_fields: unknown, text?: string) => void warnings.push(String(text)) };

beforeEach(async () => {
  [sent, warnings] = [[], []];
  await database().query('truncate outbox');
});

afterEach(() => vi.restoreAllMocks());

const takesAll: Publish = async (events) => {
  sent.push(...events);
  return { published: events.map(({ id }) => id), failed: [] };
};
const example = (change: Partial<OutgoingEvent> = {}): OutgoingEvent => ({
  id: randomUUID(),
  type: 'some.type',
  source: 'urn:odoo-fleet',
  data: {},
  ...change,
});
const waiting = async () =>
  (
    await database().query<{ id: string }>('select id from outbox where published_at is null order by sequence')
  ).rows.map(({ id }) => id);
const write = (own: OwnEvents, ...events: OutgoingEvent[]) =>
  own.database.transaction((transaction) => enqueue(transaction, events));
const inRequest = <Result>(work: () => Promise<Result>) => runInContext(contextOf({}), work);

describe('a request', () => {
  it('publishes what it has committed, as the row has it, once', async () => {
    const own = eventsOfRequest({ database: database(), publish: takesAll, log });
    const event = example({
      subject: 'k3n5q2x7a4bc',
      data: { text: 'ü' },
      extensions: { partitionkey: 'k3n5q2x7a4bc' },
    });
    await inRequest(async () => {
      await write(own, event);
      await own.flush();
      await own.flush();
    });
    const { rows } = await database().query<{ created_at: Date }>('select created_at from outbox');
    expect(sent).toEqual([
      { ...event, extensions: expect.objectContaining(event.extensions ?? {}), time: rows[0]?.created_at, attempts: 0 },
    ]);
    expect(await waiting()).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('publishes nothing of what others have written', async () => {
    const own = eventsOfRequest({ database: database(), publish: takesAll, log });
    const [mine, theirs, anybodys] = [example(), example(), example()];
    await enqueue(database(), [anybodys]);
    await inRequest(async () => {
      await write(own, theirs);
      await inRequest(async () => {
        await write(own, mine);
        await own.flush();
      });
    });
    expect(sent.map(({ id }) => id)).toEqual([mine.id]);
    expect(await waiting()).toEqual([anybodys.id, theirs.id]);
  });

  it('publishes nothing that was not committed, nor twice what a second run has committed', async () => {
    const own = eventsOfRequest({ database: database(), publish: takesAll, log });
    const [lost, kept] = [example(), example()];
    let runs = 0;
    await inRequest(async () => {
      const failing = own.database.transaction(async (transaction) => {
        await enqueue(transaction, [lost]);
        throw new Failure('conflict', 'refused');
      });
      await expect(failing).rejects.toThrow('refused');
      await own.database.transaction(async (transaction) => {
        runs += 1;
        await enqueue(transaction, [kept]);
        // as the server says it of rivals: the transaction is run again
        if (runs === 1) await transaction.query(`do $$ begin raise exception using errcode = '40001'; end $$`);
      });
      await own.flush();
    });
    expect([runs, sent.map(({ id }) => id)]).toEqual([2, [kept.id]]);
  });

  it('does not send again what the tick has sent because the request took long', async () => {
    const own = eventsOfRequest({ database: database(), publish: takesAll, log });
    const [early, late] = [example(), example()];
    await inRequest(async () => {
      await write(own, early, late);
      await flushOutbox(database(), takesAll, { ids: [early.id] });
      vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 1_000);
      await own.flush();
    });
    expect(sent.map(({ id }) => id)).toEqual([early.id, late.id]);
  });

  it('leaves to the tick what the broker refused, with the reason, and says so', async () => {
    const refuses: Publish = async (events) => ({
      published: [],
      failed: events.map(({ id }, at) => ({ id, reason: 'answered with status 503', ...(at > 0 && { isLeft: true }) })),
    });
    const own = eventsOfRequest({ database: database(), publish: refuses, log });
    const events = [example(), example()];
    await inRequest(async () => {
      await write(own, ...events);
      await own.flush();
    });
    const { rows } = await database().query('select attempts, last_error from outbox order by sequence');
    expect(rows).toEqual([
      { attempts: 1, last_error: 'answered with status 503' },
      { attempts: 0, last_error: null },
    ]);
    expect(warnings).toEqual(['the broker did not take all events; the tick sends them']);
  });

  it('waits for no other one, and holds no connection while a broker hangs', async () => {
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
    const [slow, quick] = [example({ type: 'slow' }), example()];
    const publish: Publish = async (events) => {
      if (events[0]?.type === 'slow') await mayEnd;
      return await takesAll(events);
    };
    const own = eventsOfRequest({ database: database(), publish, log });
    const hanging = inRequest(async () => {
      await write(own, slow);
      const flushed = own.flush();
      return { flushed };
    });
    const { flushed } = await hanging;
    expect(database().stats().idle).toBe(database().stats().total);
    await inRequest(async () => {
      await write(own, quick);
      await own.flush();
    });
    await expect.poll(waiting, { timeout: 15_000 }).toEqual([slow.id]);
    end();
    await flushed;
    // a request waits 2 s for its events, and they go on without it
    await expect.poll(waiting, { timeout: 15_000 }).toEqual([]);
  });
});

describe('a process whose requests write together', () => {
  it('publishes what any of them has written, once', async () => {
    const own = eventsOfProcess({ database: database(), publish: takesAll, log });
    const events = [example(), example(), example()];
    for (const event of events) await inRequest(() => write(own, event));
    await Promise.all([own.flush(), own.flush()]);
    expect(sent.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
    expect(await waiting()).toEqual([]);
  });
});
