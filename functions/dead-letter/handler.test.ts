import { expect, it } from 'vitest';
import { decodeSpooled, encodeSpooled, type UndeliveredEvent } from '#shared/runtime/dead-letter/spool.ts';
import type { RawRequest } from '#shared/runtime/http-function.ts';
import { makeKnownSecrets } from '#shared/runtime/known-secrets.ts';
import { openLog } from '#shared/runtime/log.ts';
import { keepDeadLetter, letterOf, maxLetterBytes } from './handler.ts';

const headers = {
  'ce-specversion': '1.0',
  'ce-id': '1',
  'ce-source': 'urn:billing',
  'ce-type': 'dev.odoofleet.test',
  'content-type': 'application/json',
  'ce-knativeerrordest': 'http://provision/',
  'ce-knativeerrorcode': '503',
};
const requestOf = (body: Buffer | string, more: Partial<RawRequest> = {}): RawRequest => ({
  method: 'POST',
  url: '/',
  headers,
  rawHeaders: Object.entries(more.headers ?? headers).flatMap(([name, value]) => [name, String(value)]),
  body: Buffer.from(body),
  isTooLarge: false,
  ...more,
});

function world() {
  const lines: string[] = [];
  const secrets = makeKnownSecrets();
  const log = openLog({ name: 'dead-letter', level: 'info', stream: { write: (line) => lines.push(line) }, secrets });
  const stored: UndeliveredEvent[] = [];
  const spooled: UndeliveredEvent[] = [];
  const parts = {
    log,
    store: async (letter: UndeliveredEvent) => stored.push(letter),
    spool: async (letter: UndeliveredEvent) => spooled.push(letter),
    timeoutMs: 20,
  };
  return { lines, secrets, stored, spooled, parts };
}
const refuses = () => Promise.reject(new Error('down'));
const hangs = () => new Promise<never>(() => undefined);

it('answers 204 without a body once the letter is stored', async () => {
  const { stored, spooled, parts } = world();
  expect(await keepDeadLetter(requestOf('{}'), parts)).toEqual({ status: 204, outcome: 'stored', type: 'dead-letter' });
  expect(stored).toMatchObject([{ id: '1', receivedBy: 'dead-letter', undelivered: { class: 'transient' } }]);
  expect(spooled).toEqual([]);
});

it.each([
  ['refuses', refuses],
  ['hangs', hangs],
])('keeps it in the object store when the database %s', async (_, store) => {
  const { spooled, parts } = world();
  expect(await keepDeadLetter(requestOf('{}'), { ...parts, store })).toMatchObject({ status: 204, outcome: 'spooled' });
  expect(spooled).toHaveLength(1);
});

it.each([
  ['refuses', refuses],
  ['hangs', hangs],
  ['is not there', undefined],
])('answers 503 and logs the whole event without secrets when the object store %s, too', async (_, spool) => {
  const { lines, secrets, parts } = world();
  secrets.add('hunter2-hunter2');
  const body = '{"note":"hunter2-hunter2","n":1}';
  expect(await keepDeadLetter(requestOf(body), { ...parts, store: refuses, spool })).toMatchObject({ status: 503 });
  const last = JSON.parse(lines.at(-1) ?? '') as { letter: Record<string, unknown> };
  expect(last).toMatchObject({ level: 'error', letter: { contentType: 'application/json', isWhole: true } });
  expect(last.letter['attributes']).toMatchObject({ id: '1', source: 'urn:billing', knativeerrorcode: '503' });
  expect(last.letter['body']).toBe('{"note":"[secret]","n":1}');
  expect(lines.join('')).not.toContain('hunter2');
});

it('logs bytes that are no text as base64', async () => {
  const { lines, parts } = world();
  await keepDeadLetter(requestOf(Buffer.from([0xff, 0x00])), { ...parts, store: refuses, spool: refuses });
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ letter: { bodyBase64: '/wA=' } });
});

it('takes POST only', async () => {
  expect(await keepDeadLetter(requestOf('', { method: 'GET' }), world().parts)).toMatchObject({ status: 405 });
});

it.each([
  ['no event at all', {}, 'unknown'],
  ['a refused event', { ...headers, 'ce-knativeerrorcode': '400' }, 'permanent'],
  ['an event that no dispatcher sent', { ...headers, 'ce-knativeerrorcode': '-1' }, 'transient'],
])('%s is kept whatever it is', (_, given, expected) => {
  const body = Buffer.from([0, 255, 1]);
  const letter = letterOf(requestOf(body, { headers: given }));
  expect(letter.undelivered.class).toBe(expected);
  expect(Buffer.from(letter.body)).toEqual(body);
});

it('an event with a header given twice does not go back by itself: which one counts is unknown', () => {
  const rawHeaders = ['ce-id', '1', 'ce-id', '2', 'ce-knativeerrorcode', '503'];
  const letter = letterOf(requestOf('{}', { rawHeaders }));
  expect(letter).toMatchObject({ reason: expect.stringMatching(/id is given more than once/) });
  expect(letter.undelivered.class).toBe('permanent');
});

it('of a body that is too large the beginning is kept, and said so', () => {
  const letter = letterOf(requestOf(Buffer.alloc(maxLetterBytes + 5)));
  expect(letter).toMatchObject({ isWhole: false, undelivered: { class: 'permanent' } });
  expect(letter.body.length).toBe(maxLetterBytes);
});

it('what is spooled is read back as it was', () => {
  const letter = letterOf(requestOf(Buffer.from([0xff, 0x00, 0x80])));
  const receivedAt = new Date('2026-01-02T03:04:05.678Z');
  expect(decodeSpooled(encodeSpooled(letter, receivedAt))).toEqual({
    ...letter,
    undelivered: { ...letter.undelivered, receivedAt },
  });
});
