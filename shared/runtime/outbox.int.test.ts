import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPublisher, type Publisher } from '#shared/adapters/eventing/publish.ts';
import { type ReceivedEvent, receive } from '#shared/adapters/eventing/receive.ts';
import { enqueue } from '#shared/adapters/postgres/outbox.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { flushOutbox } from './outbox.ts';

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
  publisher = openPublisher({ brokerUrl: `http://127.0.0.1:${(sink.address() as AddressInfo).port}/` });
});
afterAll(async () => {
  await publisher.end();
  sink.close();
});

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
