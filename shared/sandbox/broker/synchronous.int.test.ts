import { request } from 'undici';
import { expect, test } from 'vitest';
import { answering, brokerTests, publish, trigger } from './subscribers.fixture.ts';

const { subscriber, broker } = brokerTests();

test('in memory: the publisher waits for every subscriber, and 4xx goes to the sink with the answer', async () => {
  const sub = await subscriber(answering(400, 'no: 400'));
  const sink = await subscriber(answering(204));
  const started = await broker({
    manners: 'in-memory',
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t')],
  });
  expect(await publish(started.url, '1')).toBe(202);
  // the answer came after the dead letter
  expect(sink.received[0]?.headers).toMatchObject({
    'ce-knativeerrorcode': '400',
    'ce-knativeerrordata': Buffer.from('no: 400').toString('base64'),
  });
  expect(sub.received[0]?.headers).toMatchObject({ prefer: 'reply' });
  expect(sub.received[0]?.headers['ce-knativearrivaltime']).toBeDefined();
});

test('in memory: when the sink fails too the publisher gets 500; asynchronously it gets 202 at once', async () => {
  const failing = await subscriber(answering(500));
  const options = {
    manners: 'in-memory',
    urls: { t: failing.url },
    deadLetterUrl: () => failing.url,
    triggers: [trigger('t', { retry: 1 })],
  } as const;
  const sync = await broker(options);
  expect(await publish(sync.url, '1')).toBe(500);
  const asynchronous = await broker({ ...options, isAsynchronous: true });
  expect(await publish(asynchronous.url, '1')).toBe(202);
});

test('in memory: a publisher that gives up cuts the retries short and nothing is dead-lettered', async () => {
  const givesUp = new AbortController();
  const sub = await subscriber((response) => {
    response.writeHead(503).end();
    givesUp.abort();
  });
  const sink = await subscriber(answering(204));
  const started = await broker({
    manners: 'in-memory',
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t', { retry: 40 })],
  });
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 't' };
  const { signal } = givesUp;
  await expect(request(started.url, { method: 'POST', headers, body: '', signal })).rejects.toThrow();
  await started.idle();
  expect(sub.received.length).toBeGreaterThan(0);
  expect(sub.received.length).toBeLessThan(40);
  expect(sink.received).toHaveLength(0);
});
