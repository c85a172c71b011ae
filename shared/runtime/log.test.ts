import { expect, it } from 'vitest';
import { contextOf, noteInContext, runInContext } from '#shared/adapters/tracing/request-context.ts';
import { Failure } from '#shared/domain/failure.ts';
import { makeKnownSecrets } from './known-secrets.ts';
import { openLog } from './log.ts';

function makeLog(level = 'info') {
  const lines: string[] = [];
  const secrets = makeKnownSecrets();
  const log = openLog({
    name: 'provision',
    level,
    secrets,
    stream: { write: (line: string) => void lines.push(line) },
  });
  return { log, secrets, text: () => lines.join(''), last: () => JSON.parse(lines.at(-1) ?? '{}') as unknown };
}

it('writes one JSON line with name, level and time', () => {
  const { log, last, text } = makeLog();
  log.info({ a: 1 }, 'hello');
  expect(last()).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    name: 'provision',
    a: 1,
    msg: 'hello',
  });
  log.debug('not shown');
  expect(text()).not.toContain('not shown');
});

it('carries the ids of the request', () => {
  const { log, last } = makeLog();
  runInContext(contextOf({ 'x-request-id': 'r-1' }), () => {
    noteInContext({ eventId: 'e-1', operationId: 'o-1' });
    log.info('within');
  });
  expect(last()).toMatchObject({ requestId: 'r-1', traceId: expect.any(String), eventId: 'e-1', operationId: 'o-1' });
});

it('blanks what is called like a secret, on three levels', () => {
  const { log, text } = makeLog();
  log.info({ password: 'one', config: { token: 'two', database: { adminPassword: 'three' } } }, 'made');
  expect(text()).not.toMatch(/one|two|three/);
  expect(text().match(/\[secret\]/g)).toHaveLength(3);
});

it('blanks the value of a known secret wherever it appears: message, key, error, cause, facts', () => {
  const { log, secrets, text } = makeLog();
  const value = 's3cr3t "value"';
  secrets.add(value);
  const cause = new Error(`login with ${value} refused`);
  const failure = new Failure('unavailable', `cannot connect: ${value}`, { cause, facts: { value } });
  log.info(`message ${value}`);
  log.error({ err: failure, [value]: 1, deep: { a: { b: { c: [value] } } } }, 'failed');
  log.child({ value }).info('child');
  expect(text()).not.toContain('s3cr3t');
  expect(text().match(/\[secret\]/g)?.length).toBeGreaterThan(5);
  for (const line of text().trim().split('\n')) expect(() => JSON.parse(line) as unknown).not.toThrow();
});

it('shows the code, the facts and the causes of a failure', () => {
  const { log, last } = makeLog();
  const failure = new Failure('no-capacity', 'Add a server.', {
    facts: { servers: 2 },
    cause: new Error('the reason'),
  });
  log.warn({ err: failure }, 'refused');
  expect(last()).toMatchObject({
    err: { code: 'no-capacity', facts: { servers: 2 }, stack: expect.stringContaining('the reason') },
  });
});
