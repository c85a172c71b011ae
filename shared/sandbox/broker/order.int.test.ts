import { expect, test } from 'vitest';
import { brokerTests, publish, trigger } from './subscribers.fixture.ts';

const { subscriber, broker } = brokerTests();

test('no more than the parallelism are in flight, and at parallelism 1 the order is kept', async () => {
  let inFlight = 0;
  let most = 0;
  const sub = await subscriber((response) => {
    most = Math.max(most, ++inFlight);
    setTimeout(() => {
      inFlight -= 1;
      response.writeHead(204).end();
    }, 5);
  });
  const started = await broker({
    urls: { one: sub.url, three: sub.url },
    triggers: [
      trigger('one', { parallelism: 1, filterAttributes: { type: 'one' } }),
      trigger('three', { parallelism: 3, filterAttributes: { type: 'three' } }),
    ],
  });
  const ids = Array.from({ length: 12 }, (_, n) => String(n));
  for (const id of ids) await publish(started.url, id, { type: 'one' });
  await started.idle();
  expect(sub.received.map(({ id }) => id)).toEqual(ids);
  expect(most).toBe(1);
  await Promise.all(ids.map((id) => publish(started.url, id, { type: 'three' })));
  await started.idle();
  expect(most).toBe(3);
});

test('Kafka: events of one partition key are delivered one after the other, other keys beside them', async () => {
  const inFlight = new Map<string, number>();
  let mostPerKey = 0;
  let mostAtAll = 0;
  const sub = await subscriber((response, { headers }) => {
    const key = String(headers['ce-partitionkey']);
    inFlight.set(key, (inFlight.get(key) ?? 0) + 1);
    mostPerKey = Math.max(mostPerKey, ...inFlight.values());
    mostAtAll = Math.max(
      mostAtAll,
      [...inFlight.values()].reduce((sum, count) => sum + count, 0),
    );
    setTimeout(() => {
      inFlight.set(key, (inFlight.get(key) ?? 0) - 1);
      response.writeHead(204).end();
    }, 20);
  });
  const started = await broker({ manners: 'kafka', urls: { t: sub.url }, triggers: [trigger('t')] });
  const ids = Array.from({ length: 12 }, (_, n) => n);
  for (const n of ids) await publish(started.url, String(n), { partitionkey: `key-${n % 2}` });
  await started.idle();
  expect(mostPerKey).toBe(1);
  expect(mostAtAll).toBe(2);
  const ofKey = (key: number): number[] => sub.received.map(({ id }) => Number(id)).filter((n) => n % 2 === key);
  expect([ofKey(0), ofKey(1)]).toEqual([ids.filter((n) => n % 2 === 0), ids.filter((n) => n % 2 === 1)]);
});
