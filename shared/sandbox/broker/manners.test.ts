import { expect, test } from 'vitest';
import { type Answer, backoffMs, type MannerName, manners, type Verdict, verdictOf } from './manners.ts';

const status = (code: number, body: 'empty' | 'event' | 'foreign' = 'empty'): Answer => ({
  kind: 'status',
  status: code,
  body,
});
const verdicts = (name: MannerName, answers: Answer[]): Verdict[] =>
  answers.map((answer) => verdictOf(manners[name], answer).verdict);
const all = (count: number, verdict: Verdict): Verdict[] => Array.from({ length: count }, () => verdict);

const success = [200, 202, 204].map((code) => status(code));
const worthRetrying = [404, 408, 409, 429, 500, 501, 502, 503, 504].map((code) => status(code));
const refused = [400, 401, 403, 410, 413, 422, 425].map((code) => status(code));
const redirects = [301, 302, 307].map((code) => status(code));

test.each(['rabbitmq', 'in-memory', 'kafka'] as const)('%s: success is done, the retry list is retried', (name) => {
  expect(verdicts(name, success)).toEqual(all(success.length, 'done'));
  expect(verdicts(name, [status(200, 'event')])).toEqual(['done']);
  expect(verdicts(name, worthRetrying)).toEqual(all(worthRetrying.length, 'retry'));
  expect(verdicts(name, [{ kind: 'none' }])).toEqual(['retry']);
});

test.each([
  ['rabbitmq', 'lost', 'lost', 'done'],
  ['in-memory', 'dead-letter', 'dead-letter', 'retry'],
  ['kafka', 'dead-letter', 'dead-letter', 'dead-letter'],
] as const)(
  '%s: a refusal is %s, a redirect that is not followed is %s, a foreign body is %s',
  (name, refusal, redirect, foreign) => {
    expect(verdicts(name, refused)).toEqual(all(refused.length, refusal));
    expect(verdicts(name, redirects)).toEqual(all(redirects.length, redirect));
    expect(verdicts(name, [status(200, 'foreign')])).toEqual([foreign]);
  },
);

test('the code of a delivery without an answer is -1 on RabbitMQ and 500 in memory', () => {
  expect(verdictOf(manners.rabbitmq, { kind: 'none' }).code).toBe(-1);
  expect(verdictOf(manners['in-memory'], { kind: 'none' }).code).toBe(500);
  expect(verdictOf(manners.rabbitmq, status(503)).code).toBe(503);
});

test('an answer that is late and one that was not modified leave no trace on a dead letter of the in-memory class', () => {
  const traceless = { code: undefined, namesDestination: false };
  expect(verdictOf(manners['in-memory'], { kind: 'late' })).toEqual({ verdict: 'retry', ...traceless });
  expect(verdictOf(manners['in-memory'], status(304))).toEqual({ verdict: 'dead-letter', ...traceless });
  expect(verdictOf(manners.rabbitmq, { kind: 'late' }).code).toBe(-1);
  expect(verdictOf(manners.kafka, status(304)).code).toBe(304);
});

test('the waits between attempts are those that were measured', () => {
  const waits = (name: MannerName, policy: 'linear' | 'exponential'): number[] =>
    [0, 1, 2].map((attempt) => backoffMs(manners[name], attempt, { policy, delayMs: 200 }));
  expect(waits('rabbitmq', 'exponential')).toEqual([400, 800, 1600]);
  expect(waits('rabbitmq', 'linear')).toEqual([200, 400, 600]);
  expect(waits('in-memory', 'linear')).toEqual([0, 200, 400]);
  expect(waits('in-memory', 'exponential')).toEqual([200, 400, 800]);
  expect(waits('kafka', 'exponential')).toEqual([400, 800, 1600]);
});
