import { expect, it } from 'vitest';
import { resendMessage } from './resend.ts';

const brokers = {
  knativeerrordest: 'http://a/',
  knativeerrorcode: '-1',
  knativebrokerttl: '255',
  knativearrivaltime: 'x',
};

it('sends an event as its publisher did: without what brokers added, with nothing of ours', () => {
  const body = Buffer.from('{"a": 1.0}');
  const attributes = { id: '1', source: 's', type: 't', specversion: '1.0', partitionkey: 'caf%C3%A9', ...brokers };
  expect(resendMessage({ contentType: 'application/json', attributes, body })).toEqual({
    headers: {
      'content-type': 'application/json',
      'ce-id': '1',
      'ce-source': 's',
      'ce-type': 't',
      'ce-specversion': '1.0',
      'ce-partitionkey': 'caf%C3%A9',
    },
    body,
  });
});

it('states no content type where there was none', () => {
  const { headers } = resendMessage({ contentType: null, attributes: { id: '1' }, body: Buffer.alloc(0) });
  expect(headers).toEqual({ 'ce-id': '1' });
});

it('takes them out of a structured event, and leaves one alone that has none', () => {
  const contentType = 'application/cloudevents+json';
  const event = { specversion: '1.0', id: '1', data: { knativeerrordest: 'is data' } };
  const attributes = { id: '1', ...brokers };
  const letter = Buffer.from(JSON.stringify({ ...event, ...brokers }));
  const sent = resendMessage({ contentType, attributes, body: letter });
  expect(sent.headers).toEqual({ 'content-type': contentType });
  expect(JSON.parse(sent.body.toString())).toEqual(event);
  const plain = Buffer.from('{ "specversion":"1.0" }');
  expect(resendMessage({ contentType, attributes, body: plain }).body).toBe(plain);
  const broken = Buffer.from('{ "specv');
  expect(resendMessage({ contentType, attributes, body: broken }).body).toBe(broken);
});
