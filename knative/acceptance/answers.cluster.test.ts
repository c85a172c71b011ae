import { beforeAll, describe, expect, test } from 'vitest';
import { answerTable, type ScriptedAnswer } from '#shared/sandbox/broker/answers.fixture.ts';
import {
  deskAt,
  type Noted,
  obstacle,
  type TestNamespace,
  testNamespace,
  titled,
  waitForReady,
} from './cluster.fixture.ts';

// The real Broker over the in-memory channel against the table that the sandbox's broker is held against, too.

const rows = answerTable.map((row, index) => ({
  ...row,
  name: `answer-${index}`,
  expected: row.outcomes['in-memory'],
}));

describe.skipIf(obstacle !== undefined)(titled('The real Broker, when a subscriber gives'), () => {
  const namespace = testNamespace('acceptance-answers');
  let noted: Noted[] = [];

  beforeAll(async () => {
    const { kubectl, name, emit } = namespace();
    const metadata = { name: 'default', namespace: name };
    await kubectl.apply([
      { apiVersion: 'eventing.knative.dev/v1', kind: 'Broker', metadata },
      ...rows.map((row) => trigger(row, name)),
    ]);
    await waitForReady(namespace(), ['broker/default', ...rows.map((row) => `trigger/${row.name}`)]);
    // Each post is answered when its subscriber is done, retries and dead letter included.
    await Promise.all(rows.map((row) => emit({ type: row.name, id: row.name })));
    noted = await namespace().noted();
  }, 300_000);

  test.each(rows)('$answer: $expected', ({ name, gives, expected }) => {
    const own = noted.filter(({ headers }) => headers['ce-id'] === name);
    const attempts = own.filter(({ method, path }) => method === 'POST' && path === pathOf(gives)).length;
    const letters = own.filter(({ path }) => path === '/note/dead');
    const code = letters[0]?.headers['ce-knativeerrorcode'] ?? 'none';
    expect(`${attempts} ${letters.length === 0 ? '-' : code}`).toBe(expected);
    expect(letters.length).toBeLessThan(2);
  });
});

function pathOf(gives: ScriptedAnswer): string {
  return `/answer/${Buffer.from(JSON.stringify(gives)).toString('base64url')}`;
}

function trigger({ name, gives }: (typeof rows)[number], namespace: TestNamespace['name']): object {
  return {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Trigger',
    metadata: { name, namespace },
    spec: {
      broker: 'default',
      filter: { attributes: { type: name } },
      subscriber: deskAt(pathOf(gives)),
      delivery: {
        retry: 3,
        backoffPolicy: 'linear',
        backoffDelay: 'PT0.2S',
        // short only where it is waited for: on a busy node an answer may take a second
        timeout: gives === 'silence' ? 'PT1S' : 'PT20S',
        deadLetterSink: deskAt('/note/dead'),
      },
    },
  };
}
