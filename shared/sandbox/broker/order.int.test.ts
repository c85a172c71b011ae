import { expect, test, vi } from 'vitest';
import { type Answerer, brokerTests, publish, type Received, trigger } from './subscribers.fixture.ts';

const { subscriber, broker } = brokerTests();

/** Answers nothing before `goOn`, and then each event in a turn of its own. */
function held(onAnswer: (received: Received) => void) {
  const gate = Promise.withResolvers<void>();
  const answer: Answerer = (response, received) => {
    void gate.promise.then(() =>
      setTimeout(() => {
        onAnswer(received);
        response.writeHead(204).end();
      }, 5),
    );
  };
  return { answer, goOn: gate.resolve };
}

test('no more than the parallelism are in flight, and at parallelism 1 the order is kept', async () => {
  let inFlight = 0;
  let most = 0;
  let gate = held(() => (inFlight -= 1));
  const sub = await subscriber((response, received) => {
    most = Math.max(most, ++inFlight);
    gate.answer(response, received);
  });
  const started = await broker({
    urls: { one: sub.url, three: sub.url },
    triggers: [
      trigger('one', { parallelism: 1, timeoutMs: 60_000, filterAttributes: { type: 'one' } }),
      trigger('three', { parallelism: 3, timeoutMs: 60_000, filterAttributes: { type: 'three' } }),
    ],
  });
  const ids = Array.from({ length: 12 }, (_, n) => String(n));
  for (const id of ids) await publish(started.url, id, { type: 'one' });
  gate.goOn();
  await started.idle();
  expect(sub.received.map(({ id }) => id)).toEqual(ids);
  expect(most).toBe(1);
  gate = held(() => (inFlight -= 1));
  await Promise.all(ids.map((id) => publish(started.url, id, { type: 'three' })));
  await vi.waitFor(() => expect(inFlight).toBe(3), 15_000);
  gate.goOn();
  await started.idle();
  expect(most).toBe(3);
});

test('Kafka: events of one partition key are delivered one after the other, other keys beside them', async () => {
  const inFlight = new Map<string, number>();
  const keyOf = ({ headers }: Received) => String(headers['ce-partitionkey']);
  const atAll = () => [...inFlight.values()].reduce((sum, count) => sum + count, 0);
  let mostPerKey = 0;
  let mostAtAll = 0;
  const gate = held((received) => inFlight.set(keyOf(received), (inFlight.get(keyOf(received)) ?? 0) - 1));
  const sub = await subscriber((response, received) => {
    inFlight.set(keyOf(received), (inFlight.get(keyOf(received)) ?? 0) + 1);
    mostPerKey = Math.max(mostPerKey, ...inFlight.values());
    mostAtAll = Math.max(mostAtAll, atAll());
    gate.answer(response, received);
  });
  const triggers = [trigger('t', { timeoutMs: 60_000 })];
  const started = await broker({ manners: 'kafka', urls: { t: sub.url }, triggers });
  const ids = Array.from({ length: 12 }, (_, n) => n);
  for (const n of ids) await publish(started.url, String(n), { partitionkey: `key-${n % 2}` });
  await vi.waitFor(() => expect(atAll()).toBe(2), 15_000);
  gate.goOn();
  await started.idle();
  expect(mostPerKey).toBe(1);
  expect(mostAtAll).toBe(2);
  const ofKey = (key: number): number[] => sub.received.map(({ id }) => Number(id)).filter((n) => n % 2 === key);
  expect([ofKey(0), ofKey(1)]).toEqual([ids.filter((n) => n % 2 === 0), ids.filter((n) => n % 2 === 1)]);
});
