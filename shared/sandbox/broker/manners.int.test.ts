import { expect, test } from 'vitest';
import type { MannerName } from './manners.ts';
import { type Answerer, answering, brokerTests, publish, trigger } from './subscribers.fixture.ts';

const { subscriber, broker } = brokerTests();

// Every class of broker against every answer, with retry 3: what the real data planes did in the same place, or, of Kafka,
// what its source says.

/** Attempts, and what becomes of the event: `-` done, `lost`, or a dead letter with this `knativeerrorcode` (`none`: without). */
type Outcome = `${number} ${'-' | 'lost' | number | 'none'}`;
type Row = [answer: string, answerer: Answerer, rabbitmq: Outcome, inMemory: Outcome, kafka: Outcome];

const reply = { 'ce-specversion': '1.0', 'ce-id': 'r', 'ce-source': '/r', 'ce-type': 'reply' };
const statuses = (list: readonly number[], ...outcomes: [Outcome, Outcome, Outcome]): Row[] =>
  list.map((status) => {
    const [rabbitmq, inMemory, kafka] = outcomes.map((outcome) => outcome.replace('0', String(status)) as Outcome);
    return [String(status), answering(status), rabbitmq, inMemory, kafka] as Row;
  });

const rows: Row[] = [
  ...statuses([200, 202, 204], '1 -', '1 -', '1 -'),
  ['200 with an event', answering(200, '', reply), '1 -', '1 -', '1 -'],
  ['200 with another body', answering(200, 'done'), '1 -', '4 none', '1 none'],
  ['302 with a Location', answering(302, '', { location: '/elsewhere' }), '1 lost', '1 -', '1 302'],
  ...statuses([301, 302, 304], '1 lost', '1 0', '1 0'),
  ...statuses([400, 401, 403, 410, 413, 422, 425], '1 lost', '1 0', '1 0'),
  ...statuses([404, 408, 409, 429, 500, 501, 502, 503, 504], '4 0', '4 0', '4 0'),
  ['a reset', (response) => void response.socket?.resetAndDestroy(), '4 -1', '4 500', '4 none'],
  ['no answer in time', () => undefined, '4 -1', '4 500', '4 none'],
];

const cases = rows.flatMap(([answer, answerer, rabbitmq, inMemory, kafka]) => [
  { manners: 'rabbitmq' as const, answer, answerer, expected: rabbitmq },
  { manners: 'in-memory' as const, answer, answerer, expected: inMemory },
  { manners: 'kafka' as const, answer, answerer, expected: kafka },
]);

test.each(cases)('$manners, $answer: $expected', async ({ manners, answer, answerer, expected }) => {
  const sub = await subscriber((response, received) =>
    received.path === '/elsewhere' ? void response.writeHead(204).end() : answerer(response, received),
  );
  const sink = await subscriber(answering(204));
  const started = await broker({
    manners,
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [
      trigger('t', {
        retry: 3,
        timeoutMs: answer === 'no answer in time' ? 100 : 5000,
        filterAttributes: { type: 't' },
      }),
    ],
  });
  await publish(started.url, '1');
  await started.idle();
  const attempts = sub.received.filter(({ method }) => method === 'POST').length;
  const counts = started.stats().triggers['t'];
  const letter = sink.received[0]?.headers;
  const code = letter === undefined ? undefined : String(letter['ce-knativeerrorcode'] ?? 'none');
  const outcome = code ?? (counts?.lost === 1 ? 'lost' : '-');
  expect(`${attempts} ${outcome}`).toBe(expected);
  expect(sink.received.length).toBe(counts?.deadLettered);
});

test('in memory: a redirect is asked by GET, without the event', async () => {
  const sub = await subscriber((response, { path }) =>
    path === '/elsewhere'
      ? void response.writeHead(204).end()
      : void response.writeHead(302, { location: '/elsewhere' }).end(),
  );
  const started = await broker({ manners: 'in-memory', urls: { t: sub.url }, triggers: [trigger('t')] });
  await publish(started.url, '1');
  expect(sub.received.map(({ method, path, body, id }) => `${method} ${path} ${body} ${id}`)).toEqual([
    'POST / {} 1',
    'GET /elsewhere  undefined',
  ]);
  expect(started.stats().triggers['t']).toMatchObject({ delivered: 1, deadLettered: 0 });
});

const filtered = trigger('t', { filters: [{ prefix: { type: 'wanted.' } }, { not: { exact: { source: '/other' } } }] });

test.each<[MannerName, string[]]>([
  ['rabbitmq', ['1', '2', '3']],
  ['in-memory', ['1']],
  ['kafka', ['1']],
])('%s: of a trigger with only `filters` it delivers %j', async (manners, expected) => {
  const sub = await subscriber(answering(204));
  const started = await broker({ manners, urls: { t: sub.url }, triggers: [filtered] });
  await publish(started.url, '1', { type: 'wanted.a' });
  await publish(started.url, '2', { type: 'unwanted' });
  await publish(started.url, '3', { type: 'wanted.b', source: '/other' });
  await started.idle();
  expect(sub.received.map(({ id }) => id).sort()).toEqual(expected);
});

test('in memory: a circle of replies ends, and no subscriber sees the count', async () => {
  const sub = await subscriber(answering(200, '', reply));
  const started = await broker({
    manners: 'in-memory',
    isAsynchronous: true,
    urls: { t: sub.url },
    triggers: [trigger('t')],
  });
  await publish(started.url, '1');
  await started.idle();
  expect(sub.received).toHaveLength(255);
  expect(sub.received.every(({ headers }) => headers['ce-knativebrokerttl'] === undefined)).toBe(true);
  expect(started.stats().refused).toBe(1);
});
