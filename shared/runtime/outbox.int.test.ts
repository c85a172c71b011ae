import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openPublisher, type Publisher } from '#shared/adapters/eventing/publish.ts';
import { type ReceivedEvent, receive } from '#shared/adapters/eventing/receive.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { flushOutbox, type Publish } from './outbox.ts';

const database = platformOfThisFile();
const received: ReceivedEvent['event'][] = [];
const sink = createServer((request, response) => {
  void buffer(request).then((body) => {
    received.push(receive(request.headers, body, { rawHeaders: request.rawHeaders }).event);
    response.writeHead(202).end();
  });
});
let publisher: Publisher;

beforeAll(async () => {
  await once(sink.listen(0, '127.0.0.1'), 'listening');
  publisher = openPublisher({
    brokerUrl: `http://127.0.0.1:${(sink.address() as AddressInfo).port}/`,
    timeoutMs: 30_000,
  });
});
afterAll(async () => {
  await publisher.end();
  sink.close();
});
beforeEach(async () => {
  received.length = 0;
  await database().query('truncate outbox');
});

const example = (change: Partial<OutgoingEvent> = {}): OutgoingEvent => ({
  id: randomUUID(),
  type: 'some.type',
  source: 'urn:odoo-fleet',
  data: {},
  ...change,
});
const waiting = async () =>
  (
    await database().query<{ id: string; attempts: number; last_error: string | null }>(
      'select id, attempts, last_error from outbox where published_at is null order by sequence',
    )
  ).rows;

it('an event that was committed with a change is sent as it was, with the time of the change, once', async () => {
  const event = {
    id: randomUUID(),
    type: 'some.type',
    source: 'urn:odoo-fleet',
    subject: 'k3n5q2x7a4bc',
    data: { text: 'ü' },
    extensions: { partitionkey: 'k3n5q2x7a4bc' },
  };
  await database().transaction((transaction) => enqueue(transaction, [event]));
  expect(await flushOutbox(database(), publisher.publish)).toEqual({ published: 1, failed: 0 });
  const { rows } = await database().query<{ created_at: Date }>('select created_at from outbox where id = $1', [
    event.id,
  ]);
  expect(received).toEqual([{ ...event, time: rows[0]?.created_at.toISOString() }]);
  expect(await flushOutbox(database(), publisher.publish)).toEqual({ published: 0, failed: 0 });
});

it('an event whose cause has a name in another script arrives with it', async () => {
  const event = example({ extensions: { causationid: 'Bestellung für 象 "7" 50%' } });
  await enqueue(database(), [event]);
  expect(await flushOutbox(database(), publisher.publish)).toEqual({ published: 1, failed: 0 });
  expect(received[0]?.extensions).toEqual(event.extensions);
});

describe('a broker', () => {
  const refuses: Publish = async (events) => ({
    published: [],
    failed: events.map(({ id }) => ({ id, reason: 'answered with status 503' })),
  });

  it('that takes nothing leaves the events, with the number of tries and the reason', async () => {
    const events = [example(), example()];
    await enqueue(database(), events);
    expect(await flushOutbox(database(), refuses)).toEqual({ published: 0, failed: 2 });
    await flushOutbox(database(), refuses);
    expect(await waiting()).toEqual(
      events.map(({ id }) => ({ id, attempts: 2, last_error: 'answered with status 503' })),
    );
    expect(await flushOutbox(database(), publisher.publish)).toEqual({ published: 2, failed: 0 });
    expect(received.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id).sort());
  });

  it('that was not asked to take an event has not refused it', async () => {
    const [sent, left] = [example(), example()];
    await enqueue(database(), [sent, left]);
    const hangs: Publish = async () => ({
      published: [],
      failed: [
        { id: sent.id, reason: 'no answer within 100 ms' },
        { id: left.id, reason: 'no answer within 100 ms', isLeft: true },
      ],
    });
    expect(await flushOutbox(database(), hangs)).toEqual({ published: 0, failed: 2 });
    expect(await waiting()).toEqual(
      expect.arrayContaining([
        { id: sent.id, attempts: 1, last_error: 'no answer within 100 ms' },
        { id: left.id, attempts: 0, last_error: null },
      ]),
    );
  });

  it('that takes some of them gets the others again, and only those', async () => {
    const [good, bad] = [example(), example()];
    await enqueue(database(), [bad, good]);
    const takesGood: Publish = async (events) => {
      const { published, failed } = await publisher.publish(events.filter(({ id }) => id === good.id));
      return { published, failed: [...failed, { id: bad.id, reason: 'answered with status 400' }] };
    };
    expect(await flushOutbox(database(), takesGood)).toEqual({ published: 1, failed: 1 });
    expect((await waiting()).map(({ id }) => id)).toEqual([bad.id]);
  });

  it('that takes nearly two seconds for each keeps nobody longer than that, and nothing is lost', async () => {
    await enqueue(
      database(),
      Array.from({ length: 20 }, () => example()),
    );
    const slow = createServer((request, response) => {
      setTimeout(() => request.resume().on('end', () => response.writeHead(202).end()), 1_900);
    });
    await once(slow.listen(0, '127.0.0.1'), 'listening');
    const toSlow = openPublisher({ brokerUrl: `http://127.0.0.1:${(slow.address() as AddressInfo).port}/` });
    const { published, failed } = await flushOutbox(database(), toSlow.publish, { withinMs: 2_000 });
    // those of the first round; a busy machine may have been late for some of them
    expect(published).toBeLessThanOrEqual(8);
    expect(published + failed).toBe(20);
    expect(await waiting()).toHaveLength(failed);
    await toSlow.end();
    slow.close();
  });

  it('that is not there at all costs no event', async () => {
    await enqueue(database(), [example()]);
    const nowhere = openPublisher({ brokerUrl: 'http://127.0.0.1:1/' });
    expect(await flushOutbox(database(), nowhere.publish)).toEqual({ published: 0, failed: 1 });
    expect((await waiting())[0]?.last_error).toMatch(/ECONNREFUSED/);
    await nowhere.end();
  });
});

describe('two flushes at once', () => {
  it('send each event once', async () => {
    await enqueue(
      database(),
      Array.from({ length: 60 }, () => example()),
    );
    const results = await Promise.all(Array.from({ length: 5 }, () => flushOutbox(database(), publisher.publish)));
    const ids = received.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(results.reduce((sum, { published }) => sum + published, 0)).toBe(60);
    expect(await waiting()).toEqual([]);
  });

  it('do not wait for each other', async () => {
    await enqueue(database(), [example()]);
    const { promise: sent, resolve: mayEnd } = Promise.withResolvers<void>();
    const { promise: begun, resolve: hasBegun } = Promise.withResolvers<void>();
    const slow = flushOutbox(database(), async (events) => {
      hasBegun();
      await sent;
      return { published: events.map(({ id }) => id), failed: [] };
    });
    await begun;
    expect(await flushOutbox(database(), publisher.publish)).toEqual({ published: 0, failed: 0 });
    mayEnd();
    expect(await slow).toEqual({ published: 1, failed: 0 });
  });
});

it('a crash between sending and noting sends the event again under the same id', async () => {
  const event = example();
  await enqueue(database(), [event]);
  const dies: Publish = async (events) => {
    await publisher.publish(events);
    throw new Error('killed');
  };
  await expect(flushOutbox(database(), dies)).rejects.toThrow('killed');
  expect(await waiting()).toMatchObject([{ id: event.id, attempts: 0 }]);
  await flushOutbox(database(), publisher.publish);
  expect(received.map(({ id }) => id)).toEqual([event.id, event.id]);
  expect(await waiting()).toEqual([]);
});
