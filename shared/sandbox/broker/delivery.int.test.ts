import { readdir, readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startBroker } from './broker.ts';
import { answering, brokerTests, publish, trigger } from './subscribers.fixture.ts';

const { folder, subscriber, broker } = brokerTests();

test('a failing subscriber gets every attempt, then the dead letter sink gets the event with the reason', async () => {
  const sub = await subscriber(answering(503));
  const sink = await subscriber(answering(204));
  const { url, idle, stats } = await broker({
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t', { retry: 3 })],
  });
  await publish(url, '1', { opkind: 'provision' });
  await idle();
  expect(sub.received).toHaveLength(4);
  expect(sink.received[0]?.headers).toMatchObject({
    'ce-id': '1',
    'ce-opkind': 'provision',
    'ce-knativeerrordest': sub.url,
    'ce-knativeerrorcode': '503',
    'content-type': 'application/json',
  });
  expect(sink.received[0]?.headers['ce-knativeerrordata']).toBeUndefined();
  expect(stats().triggers['t']).toEqual({
    accepted: 1,
    delivered: 0,
    retried: 3,
    deadLettered: 1,
    lost: 0,
    dropped: 0,
    duplicated: 0,
  });
});

test('a subscriber that recovers gets the event and nothing is dead-lettered', async () => {
  let attempts = 0;
  const sub = await subscriber((response) => void response.writeHead(++attempts < 3 ? 503 : 204).end());
  const { url, idle, stats } = await broker({ urls: { t: sub.url }, triggers: [trigger('t')] });
  await publish(url, '1');
  await idle();
  expect(stats().triggers['t']).toMatchObject({ delivered: 1, retried: 2, deadLettered: 0 });
});

test('a subscriber whose address is not known yet is tried again', async () => {
  const sub = await subscriber(answering(204));
  let asked = 0;
  const started = await startBroker({
    folder: folder(),
    triggers: [trigger('t')],
    subscriberUrl: () => {
      asked += 1;
      if (asked < 3) throw new Error('not there yet');
      return sub.url;
    },
  });
  onTestFinished(() => started.stop());
  await publish(started.url, '1');
  await started.idle();
  expect(started.stats().triggers['t']).toMatchObject({ delivered: 1, retried: 2 });
});

test('without a function for the sink, a dead letter becomes a file and the log says so', async () => {
  const messages: string[] = [];
  const { url, idle } = await broker({
    urls: {},
    triggers: [trigger('t', { retry: 0 })],
    log: (message) => messages.push(message),
  });
  await publish(url, '1');
  await idle();
  const files = await readdir(join(folder(), 'dead-letters'));
  expect(files).toHaveLength(1);
  const text = await readFile(join(folder(), 'dead-letters', files[0] ?? ''), 'utf8');
  expect(JSON.parse(text)).toMatchObject({ id: '1', data: {}, knativeerrorcode: '-1' });
  expect(messages).toContain('dead letter kept as a file: no function is dead-letter yet');
});

test('a timeout starts a second attempt while the first still runs', async () => {
  const open: ServerResponse[] = [];
  const sub = await subscriber((response) => {
    open.push(response);
    if (open.length === 3) response.writeHead(204).end();
  });
  const { url, idle, stats } = await broker({ urls: { t: sub.url }, triggers: [trigger('t', { timeoutMs: 1_500 })] });
  await publish(url, '1');
  await idle();
  // the handlers of the first two were never told: they could still answer
  expect(open.filter((response) => !response.writableEnded)).toHaveLength(2);
  expect(stats().triggers['t']).toMatchObject({ delivered: 1, retried: 2 });
});

test('a reply that is an event goes back into the broker, any other body is ignored', async () => {
  const reply = { 'ce-specversion': '1.0', 'ce-id': 'r', 'ce-source': '/r', 'ce-type': 'reply' };
  const sub = await subscriber((response, { id }) => {
    if (id === '1') response.writeHead(200, reply).end();
    else response.writeHead(200).end('done');
  });
  const { url, idle, stats } = await broker({
    urls: { asked: sub.url, replied: sub.url },
    triggers: [
      trigger('asked', { filterAttributes: { type: 't' } }),
      trigger('replied', { filterAttributes: { type: 'reply' } }),
    ],
  });
  await publish(url, '1');
  await idle();
  expect(sub.received.map(({ id }) => id)).toEqual(['1', 'r']);
  expect(stats().triggers['replied']).toMatchObject({ delivered: 1, retried: 0 });
});

test('a refusal is acknowledged and lost, and the log says so', async () => {
  const sub = await subscriber(answering(400));
  const messages: string[] = [];
  const { url, idle, stats } = await broker({
    urls: { t: sub.url },
    triggers: [trigger('t')],
    log: (message, facts) => messages.push(`${message} ${JSON.stringify(facts)}`),
  });
  await publish(url, '1');
  await idle();
  expect(sub.received).toHaveLength(1);
  expect(stats().triggers['t']).toMatchObject({ lost: 1, deadLettered: 0 });
  expect(messages.join()).toMatch(/event lost.*"id":"1".*"status":400/);
});
