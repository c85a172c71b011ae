import { expect, test } from 'vitest';
import { NotACloudEvent, readEvent, toRequest, toStructured } from './event.ts';

const ce = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 't' };
const attributes = { specversion: '1.0', id: '1', source: '/s', type: 't' };

test('a binary event keeps its attributes, extensions and bytes', () => {
  const headers = { ...ce, 'ce-opkind': 'provision', 'content-type': 'application/json', 'x-other': '1' };
  const event = readEvent(headers, Buffer.from('{"a": 1}'));
  expect(event.attributes).toEqual({ ...attributes, opkind: 'provision' });
  expect(toRequest(event)).toEqual({
    headers: { ...ce, 'ce-opkind': 'provision', 'content-type': 'application/json' },
    body: Buffer.from('{"a": 1}'),
  });
});

test('a structured event becomes binary; without datacontenttype it has no Content-Type', () => {
  const body = (more: object): Buffer => Buffer.from(JSON.stringify({ ...attributes, ...more }));
  const read = (more: object) =>
    toRequest(readEvent({ 'content-type': 'application/cloudevents+json; charset=utf-8' }, body(more)));
  expect(read({ data: { a: 1 } })).toEqual({ headers: ce, body: Buffer.from('{"a":1}') });
  expect(read({ data: 'x', datacontenttype: 'text/plain' }).body.toString()).toBe('x');
  expect(read({ data: 'x', datacontenttype: 'application/json' }).body.toString()).toBe('"x"');
  expect(read({ data_base64: 'AAE=' }).body).toEqual(Buffer.from([0, 1]));
  expect(read({ sequence: 7 }).headers['ce-sequence']).toBe('7');
});

test('the trace header travels with the event, other headers do not', () => {
  const event = readEvent({ ...ce, traceparent: '00-a-b-01', authorization: 'x' }, Buffer.alloc(0));
  expect(toRequest(event).headers).toEqual({ ...ce, traceparent: '00-a-b-01' });
});

test('text beyond ASCII arrives as it was sent', () => {
  const sent = { ...ce, 'ce-subject': Buffer.from('Zoë 🐘', 'utf8').toString('latin1') };
  const event = readEvent(sent, Buffer.alloc(0));
  expect(event.attributes['subject']).toBe('Zoë 🐘');
  expect(toRequest(event).headers).toEqual(sent);
});

test.each([
  ['no attributes', {}, ''],
  ['a missing id', { ...ce, 'ce-id': '' }, ''],
  ['another spec version', { ...ce, 'ce-specversion': '9.9' }, ''],
  ['a time that is none', { ...ce, 'ce-time': 'yesterday' }, ''],
  ['a batch', { 'content-type': 'application/cloudevents-batch+json' }, '[]'],
  ['a structured list', { 'content-type': 'application/cloudevents+json' }, '[]'],
  ['text that is not JSON', { 'content-type': 'application/cloudevents+json' }, '{'],
])('%s is no CloudEvent', (_, headers, body) => {
  expect(() => readEvent(headers, Buffer.from(body))).toThrow(NotACloudEvent);
});

test('the file form shows JSON data as JSON and other data in base64', () => {
  const json = readEvent({ ...ce, 'content-type': 'application/json' }, Buffer.from('{"a":1}'));
  expect(toStructured(json)).toEqual({ ...attributes, datacontenttype: 'application/json', data: { a: 1 } });
  const bytes = readEvent({ ...ce, 'content-type': 'image/png' }, Buffer.from([0]));
  expect(toStructured(bytes)).toEqual({ ...attributes, datacontenttype: 'image/png', data_base64: 'AA==' });
});
