import { expect, test } from 'vitest';
import { answerTable, elsewhere, type ScriptedAnswer } from './answers.fixture.ts';
import type { MannerName } from './manners.ts';
import { type Answerer, answering, brokerTests, publish, trigger } from './subscribers.fixture.ts';

const { subscriber, broker } = brokerTests();

const mannerNames = ['rabbitmq', 'in-memory', 'kafka'] as const;
const cases = answerTable.flatMap(({ answer, gives, outcomes }) =>
  mannerNames.map((manners) => ({ manners, answer, gives, expected: outcomes[manners] })),
);

function answererOf(gives: ScriptedAnswer): Answerer {
  if (gives === 'silence') return () => undefined;
  if (gives === 'reset') return (response) => void response.socket?.resetAndDestroy();
  return answering(gives.status, gives.body, { ...gives.headers });
}

test.each(cases)('$manners, $answer: $expected', async ({ manners, gives, expected }) => {
  const sub = await subscriber((response, received) =>
    received.path === elsewhere ? void response.writeHead(204).end() : answererOf(gives)(response, received),
  );
  const sink = await subscriber(answering(204));
  const started = await broker({
    manners,
    urls: { t: sub.url },
    deadLetterUrl: () => sink.url,
    triggers: [
      trigger('t', {
        retry: 3,
        // each try must have arrived before it is given up
        timeoutMs: gives === 'silence' ? 1_500 : 20_000,
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

const reply = { 'ce-specversion': '1.0', 'ce-id': 'r', 'ce-source': '/r', 'ce-type': 'reply' };

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
