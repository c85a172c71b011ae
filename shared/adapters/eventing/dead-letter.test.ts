import { expect, it } from 'vitest';
import { readDeadLetter } from './dead-letter.ts';

const headers = { 'ce-id': '1', 'ce-source': 'urn:billing', 'ce-type': 'a', 'content-type': 'application/json' };

it('reads why a broker could not deliver an event', () => {
  const letter = readDeadLetter(
    {
      ...headers,
      'ce-knativeerrordest': 'http://provision.odoo-fleet.svc.cluster.local',
      'ce-knativeerrorcode': '503',
      'ce-knativeerrordata': Buffer.from('no: 503').toString('base64'),
    },
    Buffer.from('{}'),
  );
  expect(letter).toMatchObject({
    id: '1',
    source: 'urn:billing',
    type: 'a',
    contentType: 'application/json',
    origin: 'http://provision.odoo-fleet.svc.cluster.local',
    errorCode: 503,
    errorData: 'no: 503',
  });
  expect(letter.attributes).toHaveProperty('knativeerrordest');
});

it('reads the same from a structured event', () => {
  const body = Buffer.from(
    JSON.stringify({
      specversion: '1.0',
      id: '1',
      knativeerrorcode: -1,
      knativeerrordest: 'http://a/',
      data: { b: 2 },
    }),
  );
  expect(readDeadLetter({ 'content-type': 'application/cloudevents+json; charset=utf-8' }, body)).toMatchObject({
    id: '1',
    errorCode: -1,
    origin: 'http://a/',
    errorData: null,
  });
});

it.each([
  ['nothing at all', {}, null],
  ['a code that is no number', { 'ce-knativeerrorcode': 'abc' }, null],
  ['a code that no column holds', { 'ce-knativeerrorcode': '99999999999' }, null],
])('believes nothing: %s', (_, more, errorCode) => {
  expect(readDeadLetter(more, Buffer.from('\0\xff'))).toMatchObject({ id: null, origin: null, errorCode });
});

it('keeps headers whole, since they are sent again', () => {
  const many = Object.fromEntries(Array.from({ length: 80 }, (_, index) => [`ce-x${index}`, 'y'.repeat(100)]));
  const { attributes } = readDeadLetter({ ...many, ...headers, 'ce-long': 'z'.repeat(5_000) }, Buffer.alloc(0));
  expect(Object.keys(attributes)).toHaveLength(84);
  expect(attributes['long']).toHaveLength(5_000);
});

it('shows error data that is no base64 as it came', () => {
  expect(readDeadLetter({ 'ce-knativeerrordata': 'not base64!' }, Buffer.alloc(0)).errorData).toBe('not base64!');
});
