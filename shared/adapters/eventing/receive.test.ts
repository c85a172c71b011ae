import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { catalogue } from '#events/catalogue.ts';
import { Failure } from '#shared/domain/failure.ts';
import { attributes, binary, buffer, core, structured } from './envelope.fixture.ts';
import { encodeValue } from './headers.ts';
import { parseEvent } from './parse.ts';
import { receive } from './receive.ts';

describe('a right event', () => {
  it('is the same in binary and in structured mode, data_base64 included', () => {
    const data = { b: [1, { z: null, a: 'ü😀' }], a: 1.5 };
    const time = '2026-11-21T10:00:00.5+01:00';
    const extension = { partitionkey: 'k3n5q2x7a4bc', subject: 'instance', time };
    const headers = Object.fromEntries(Object.entries(extension).map(([name, value]) => [`ce-${name}`, value]));
    const one = receive({ ...binary, ...headers }, buffer(data));
    const other = receive(structured, buffer({ ...extension, ...attributes, data }));
    const third = receive(
      structured,
      buffer({ ...attributes, ...extension, data_base64: buffer(data).toString('base64') }),
    );
    expect(one.event).toEqual({
      id: 'id-1',
      source: '/billing',
      type: 'some.type',
      subject: 'instance',
      time,
      extensions: { partitionkey: 'k3n5q2x7a4bc' },
      data,
    });
    expect(other).toEqual(one);
    expect(third).toEqual(one);
  });

  it('may have extensions whose names the SDK takes for attributes of other spec versions', () => {
    const extensions = { schemaurl: '/schema', datacontentencoding: 'base64' };
    const headers = Object.fromEntries(Object.entries(extensions).map(([name, value]) => [`ce-${name}`, value]));
    expect(receive({ ...binary, ...headers }, buffer('{}')).event.extensions).toEqual(extensions);
  });

  it('has one hash however its data is written, and another hash for other data', () => {
    const hash = (text: string) => receive(binary, buffer(text)).dataHash.toString('hex');
    expect(hash('{"a":1,"b":[1,2]}')).toBe(hash(' {"b":[1.0,2],\n"a":1e0}'));
    expect(hash('{"a":"\\u00e9"}')).toBe(hash('{"a":"é"}'));
    const all = ['{"a":1}', '{"a":"1"}', '{"a":[1]}', '{}', '[]', 'null', '""', '{"a":null}', '{"b":1}'];
    expect(new Set(all.map(hash)).size).toBe(all.length);
    expect(receive(core, Buffer.alloc(0)).dataHash.toString('hex')).not.toBe(hash('""'));
  });

  it.each([
    ['without a content type', core, '{"a":1}', { a: 1 }],
    ['without data', core, '', undefined],
    ['without data but with a content type', binary, '', undefined],
    ['with data that is a number', binary, '0', 0],
    ['with data that is false', binary, 'false', false],
    ['with data that is text', binary, '"text"', 'text'],
    ['with a charset', { ...core, 'content-type': 'application/json;charset=UTF-8' }, '{}', {}],
    ['with another JSON type', { ...core, 'content-type': 'Application/Vnd.x+JSON' }, '{}', {}],
    [
      'structured with a charset',
      { 'content-type': 'application/cloudevents+json;charset=utf-8' },
      { ...attributes, data: 0 },
      0,
    ],
    ['structured without data', structured, attributes, undefined],
    ['structured with attributes that are null', structured, { ...attributes, subject: null, x: null, data: 1 }, 1],
  ])('may come %s', (_, headers, body, data) => {
    expect(receive(headers, buffer(body)).event.data).toEqual(data);
  });

  it('keeps numbers and booleans of a structured event as text', () => {
    const { event } = receive(structured, buffer({ ...attributes, knativeerrorcode: 404, flag: true }));
    expect(event.extensions).toEqual({ knativeerrorcode: '404', flag: 'true' });
  });

  it('has its header values decoded once', () => {
    const headers = { 'ce-subject': 'M%C3%BCnchen%20%2520', 'ce-quoted': '"a \\"b\\""', 'ce-percent': '100% 5%zz' };
    const { event } = receive({ ...binary, ...headers }, buffer({}));
    expect(event.subject).toBe('München %20');
    expect(event.extensions).toEqual({ quoted: 'a "b"', percent: '100% 5%zz' });
  });

  it('gets back every value that was encoded for a header', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (value) => {
        fc.pre(!/[\u0000-\u001f\u007f-\u009f\ufffe\uffff]/.test(value) && value.isWellFormed());
        const encoded = encodeValue(value);
        expect(encoded).toMatch(/^[\x21-\x7e]+$/);
        expect(receive({ ...binary, 'ce-subject': encoded }, buffer({})).event.subject).toBe(value);
      }),
    );
  });

  it.each(['2026-02-28T00:00:00Z', '2024-02-29t23:59:60z', '2026-12-31T23:59:59.123456789-23:59'])(
    'may have been sent at %s',
    (time) => {
      expect(receive({ ...binary, 'ce-time': time }, buffer({})).event.time).toBe(time);
    },
  );
});

it('never ends in anything but an event or a refusal, whatever comes', () => {
  const names = fc.constantFrom('ce-id', 'ce-type', 'ce-source', 'ce-specversion', 'ce-time', 'ce-x', 'content-type');
  const headers = fc.dictionary(names, fc.oneof(fc.string(), fc.constantFrom('1.0', ...Object.values(structured))));
  const body = fc.oneof(fc.json(), fc.string(), fc.constant(JSON.stringify(attributes)));
  fc.assert(
    fc.property(headers, body, (some, text) => {
      try {
        receive({ ...binary, ...some }, Buffer.from(text));
      } catch (caught) {
        expect(caught).toBeInstanceOf(Failure);
      }
    }),
  );
});

describe('events of earlier releases', () => {
  const folder = join(import.meta.dirname, '../../../events/frozen');
  it.each(readdirSync(folder))('%s is still received', (file) => {
    const received = receive(structured, readFileSync(join(folder, file)));
    expect(parseEvent(received, catalogue).id).toBe(received.event.id);
  });
});
