import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { answering, brokerTests, publish, trigger } from './subscribers.fixture.ts';

const { folder, subscriber, broker } = brokerTests();

test('what a broker accepted before kill -9 is delivered by the next one', async () => {
  const sub = await subscriber(() => undefined);
  const fixture = new URL('broker.fixture.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [fixture, folder(), sub.url], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const ids = Array.from({ length: 20 }, (_, n) => String(n));
  const statuses = await Promise.all(ids.map((id) => publish(line.toString().trim(), id)));
  await vi.waitFor(() => expect(sub.received.length).toBe(1), 15_000);
  child.kill('SIGKILL');
  await exited;
  expect(new Set(statuses)).toEqual(new Set([202]));
  // what the kill can leave: a line that was being written
  await appendFile(join(folder(), 'journal.jsonl'), '{"event":{"attributes"');

  const next = await subscriber(answering(204));
  const again = await broker({ urls: { s: next.url }, triggers: [trigger('t', { subscriber: 's' })] });
  await again.idle();
  expect(next.received.map(({ id }) => id).sort()).toEqual(ids.toSorted());
  await again.stop();

  const third = await broker({ urls: { s: next.url }, triggers: [trigger('t', { subscriber: 's' })] });
  await third.idle();
  expect(next.received).toHaveLength(20);
});

test('a dead letter waits for its sink across a restart', async () => {
  const first = await broker({
    urls: {},
    deadLetterUrl: () => 'http://127.0.0.1:1/',
    triggers: [trigger('t', { retry: 0 })].map((one) => ({
      ...one,
      delivery: { ...one.delivery, retry: 2, backoff: { policy: 'linear', delayMs: 100 } },
    })),
  });
  await publish(first.url, '1');
  await vi.waitFor(() => expect(first.stats().triggers['t']?.deadLettered).toBe(1), 15_000);
  await first.stop();
  const sink = await subscriber(answering(204));
  const second = await broker({ urls: {}, deadLetterUrl: () => sink.url, triggers: [trigger('t')] });
  await second.idle();
  expect(sink.received.map(({ id }) => id)).toEqual(['1']);
});

test('events of a trigger that is gone are removed at the next start', async () => {
  const first = await broker({ urls: {}, triggers: [trigger('old', { retry: 9 })] });
  await publish(first.url, '1');
  await first.stop();
  const messages: string[] = [];
  const second = await broker({ urls: {}, triggers: [trigger('new')], log: (message) => messages.push(message) });
  await second.idle();
  expect(messages).toContain('event of a Trigger that is gone: removed');
});

test('RabbitMQ: a rollout dead-letters what its dispatcher holds, delivered or not', async () => {
  const sub = await subscriber(() => undefined);
  const sink = await subscriber(answering(204));
  const started = await broker({
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t', { parallelism: 1 })],
  });
  for (const id of ['1', '2', '3']) await publish(started.url, id);
  await vi.waitFor(() => expect(sub.received).toHaveLength(1), 15_000);
  await started.rollOut();
  await started.idle();
  expect(sub.received).toHaveLength(1);
  expect(sink.received.map(({ id }) => id).sort()).toEqual(['1', '2', '3']);
  expect(sink.received.every(({ headers }) => headers['ce-knativeerrorcode'] === '-1')).toBe(true);
});

test('in memory: nothing survives a restart', async () => {
  const stuck = await subscriber(() => undefined);
  const triggers = [trigger('t')];
  const first = await broker({ manners: 'in-memory', isAsynchronous: true, urls: { t: stuck.url }, triggers });
  expect(await publish(first.url, '1')).toBe(202);
  await first.stop();
  const sub = await subscriber(answering(204));
  const second = await broker({ manners: 'in-memory', urls: { t: sub.url }, triggers });
  await second.idle();
  expect(sub.received).toHaveLength(0);
});

test.each([
  // 100 is what RabbitMQ's dispatcher fetches ahead; the rest waits in the queue for the next one
  ['rabbitmq', { deadLettered: 100, delivered: 20, lost: 0 }],
  ['kafka', { deadLettered: 0, delivered: 120, lost: 0 }],
  ['in-memory', { deadLettered: 0, delivered: 0, lost: 120 }],
] as const)('%s: a rollout with 120 events held leaves %j', async (manners, expected) => {
  let isReady = false;
  const sub = await subscriber((response) => void (isReady ? response.writeHead(204).end() : undefined));
  const sink = await subscriber(answering(204));
  const started = await broker({
    manners,
    isAsynchronous: true,
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [trigger('t', { parallelism: 1, timeoutMs: 60_000 })],
  });
  for (let n = 0; n < 120; n += 1) await publish(started.url, String(n));
  await vi.waitFor(() => expect(sub.received.length).toBeGreaterThan(0), 15_000);
  isReady = true;
  await started.rollOut();
  await started.idle();
  expect(started.stats().triggers['t']).toMatchObject(expected);
  expect(sink.received).toHaveLength(expected.deadLettered);
});
