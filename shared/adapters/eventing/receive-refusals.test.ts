import { HTTP } from 'cloudevents';
import { describe, expect, it } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { attributes, binary, buffer, core, structured } from './envelope.fixture.ts';
import { maxEventBytes, receive } from './receive.ts';

// What the SDK makes of each is in the second column: it accepts nearly all of them.
describe('a wrong envelope is refused with the attribute’s name', () => {
  const deep = `${'['.repeat(40)}${']'.repeat(40)}`;
  it.each<[string, 'sdk accepts' | 'sdk throws', Record<string, string | string[]>, string, string]>([
    ['specversion 9.9', 'sdk accepts', { ...binary, 'ce-specversion': '9.9' }, '{}', 'specversion is "9.9"'],
    ['specversion 0.3', 'sdk accepts', { ...binary, 'ce-specversion': '0.3' }, '{}', 'specversion is "0.3"'],
    ['specversion missing', 'sdk accepts', omit(binary, 'ce-specversion'), '{}', 'specversion is missing'],
    ['no attribute at all', 'sdk throws', { 'content-type': 'application/json' }, '{}', 'specversion is missing'],
    ['id missing', 'sdk throws', omit(binary, 'ce-id'), '{}', 'id is missing'],
    ['id empty', 'sdk throws', { ...binary, 'ce-id': '' }, '{}', 'id is empty'],
    ['id too long', 'sdk accepts', { ...binary, 'ce-id': 'a'.repeat(257) }, '{}', 'id is longer than 256'],
    ['source missing', 'sdk accepts', omit(binary, 'ce-source'), '{}', 'source is missing'],
    [
      'source no URI',
      'sdk accepts',
      { ...binary, 'ce-source': 'a b' },
      '{}',
      'source is not what CloudEvents 1.0 asks',
    ],
    ['type missing', 'sdk accepts', omit(binary, 'ce-type'), '{}', 'type is missing'],
    ['type empty', 'sdk accepts', { ...binary, 'ce-type': '' }, '{}', 'type is empty'],
    ['time is no time', 'sdk accepts', { ...binary, 'ce-time': 'yesterday' }, '{}', 'time is not an RFC 3339'],
    [
      'time without zone',
      'sdk accepts',
      { ...binary, 'ce-time': '2026-11-21T10:00:00' },
      '{}',
      'time is not an RFC 3339',
    ],
    ['30 February', 'sdk accepts', { ...binary, 'ce-time': '2026-02-30T10:00:00Z' }, '{}', 'time is not an RFC 3339'],
    ['time empty', 'sdk accepts', { ...binary, 'ce-time': '' }, '{}', 'time is empty'],
    [
      'invalid UTF-8 in a header',
      'sdk accepts',
      { ...binary, 'ce-subject': '%C3%28' },
      '{}',
      'subject is not valid UTF-8',
    ],
    ['NUL in a header', 'sdk accepts', { ...binary, 'ce-subject': 'a%00' }, '{}', 'subject holds control characters'],
    [
      'newline in a header',
      'sdk accepts',
      { ...binary, 'ce-subject': 'a%0Ab' },
      '{}',
      'subject holds control characters',
    ],
    ['raw UTF-8 in a header', 'sdk accepts', { ...binary, 'ce-subject': 'MÃ¼nchen' }, '{}', 'subject is not ASCII'],
    [
      'a header twice',
      'sdk accepts',
      { ...binary, 'ce-tenantid': ['a', 'b'] },
      '{}',
      'tenantid is given more than once',
    ],
    [
      'an odd extension name',
      'sdk accepts',
      { ...binary, 'ce-tenant-id': 'a' },
      '{}',
      'has a name that is not lower-case',
    ],
    [
      'a long extension name',
      'sdk accepts',
      { ...binary, [`ce-${'a'.repeat(21)}`]: 'a' },
      '{}',
      'name of more than 20',
    ],
    [
      'a long extension',
      'sdk accepts',
      { ...binary, 'ce-tenantid': 'a'.repeat(2049) },
      '{}',
      'tenantid is longer than 2048',
    ],
    ['data as a header', 'sdk accepts', { ...binary, 'ce-data': 'x' }, '{}', 'data is not an attribute'],
    [
      'two content types',
      'sdk accepts',
      { ...binary, 'ce-datacontenttype': 'a/b' },
      '{}',
      'datacontenttype is given as a ce-',
    ],
    ['text', 'sdk accepts', { ...core, 'content-type': 'text/plain' }, 'text', 'datacontenttype is "text/plain"'],
    [
      'a form',
      'sdk accepts',
      { ...core, 'content-type': 'application/x-www-form-urlencoded' },
      'a=b',
      'only JSON is understood',
    ],
    [
      'another charset',
      'sdk accepts',
      { ...core, 'content-type': 'application/json; charset=latin1' },
      '{}',
      'only UTF-8',
    ],
    ['compressed', 'sdk accepts', { ...binary, 'content-encoding': 'gzip' }, '{}', 'The body is compressed'],
    ['text called JSON', 'sdk accepts', binary, 'hello', 'data is not JSON'],
    ['broken JSON', 'sdk throws', binary, '{"a":', 'data is not JSON'],
    ['deep nesting', 'sdk accepts', binary, deep, 'data is nested deeper than 32 levels'],
    ['deepest nesting', 'sdk accepts', binary, '['.repeat(500_000) + ']'.repeat(500_000), 'nested deeper than 32'],
    ['a number that is too large', 'sdk accepts', binary, '{"a":1e999}', 'a number that is too large'],
    ['half a surrogate pair', 'sdk accepts', binary, '{"a":"\\ud800"}', 'half of a surrogate pair'],
    [
      'a batch',
      'sdk accepts',
      { 'content-type': 'application/cloudevents-batch+json' },
      '[]',
      'Batches are not accepted',
    ],
    ['another format', 'sdk throws', { 'content-type': 'application/cloudevents+avro' }, '{}', 'is not understood'],
  ])('%s (%s)', (_, sdk, headers, body, text) => {
    expect(refusal(() => receive(headers, buffer(body))).message).toContain(text);
    const ask = () => HTTP.toEvent({ headers, body });
    if (sdk === 'sdk throws') expect(ask).toThrow();
    else expect(ask).not.toThrow();
  });

  it.each<[string, unknown, string]>([
    ['no object', '[]', 'The body is not a JSON object'],
    ['empty', '', 'The body is empty'],
    ['broken', '{', 'The body is not JSON'],
    ['id missing', { ...attributes, id: undefined }, 'id is missing'],
    ['id null', { ...attributes, id: null }, 'id is missing'],
    ['id a number', { ...attributes, id: 1 }, 'id is not text'],
    ['time a number', { ...attributes, time: 1 }, 'time is not text'],
    ['an object as extension', { ...attributes, tenantid: { a: 1 } }, 'tenantid is not text'],
    ['a fraction as extension', { ...attributes, tenantid: 1.5 }, 'tenantid is not text'],
    ['an odd name', { ...attributes, 'Tenant\u0000': 'a' }, 'has a name that is not lower-case'],
    ['__proto__', `{"specversion":"1.0","id":"1","source":"/s","type":"t","__proto__":"x"}`, '"__proto__" has a name'],
    ['NUL', { ...attributes, subject: 'a\u0000' }, 'subject holds control characters'],
    [
      'half a surrogate pair',
      `{"specversion":"1.0","id":"\\ud800","source":"/s","type":"t"}`,
      'id holds control characters',
    ],
    ['data twice', { ...attributes, data: 1, data_base64: 'MQ==' }, 'data_base64 is given together with data'],
    ['no base64', { ...attributes, data_base64: '!!!' }, 'data_base64 is not base64'],
    ['base64 of a number', { ...attributes, data_base64: 1 }, 'data_base64 is not base64'],
    ['base64 of no JSON', { ...attributes, data_base64: 'eHh4' }, 'data_base64 is not JSON'],
    [
      'another data type',
      { ...attributes, datacontenttype: 'text/xml', data: '<a/>' },
      'datacontenttype is "text/xml"',
    ],
  ])('structured: %s', (_, body, text) => {
    expect(refusal(() => receive(structured, buffer(body))).message).toContain(text);
  });

  it('more than 1 MiB, invalid UTF-8, too many and too large attributes', () => {
    const many = Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`ce-x${index}`, 'a']));
    const large = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`ce-x${index}`, 'a'.repeat(2000)]));
    const message = (headers: Record<string, string>, body: Buffer) => refusal(() => receive(headers, body)).message;
    expect(message(binary, Buffer.alloc(maxEventBytes + 1, '1'))).toBe('The event is larger than 1048576 bytes.');
    expect(receive(binary, Buffer.alloc(maxEventBytes, ' ').fill('1', 0, 1)).event.data).toBe(1);
    expect(message(binary, Buffer.from([0x22, 0xff, 0x22]))).toBe('data is not valid UTF-8.');
    expect(message({ ...binary, ...many }, buffer({}))).toContain('41 extension attributes');
    expect(message({ ...binary, ...large }, buffer({}))).toContain('characters of attributes');
  });

  it('headers that were sent twice, which Node joins or drops', () => {
    const rawHeaders = ['Ce-Id', 'id-1', 'Content-Type', 'application/json', 'ce-ID', 'id-1'];
    expect(refusal(() => receive(binary, buffer({}), { rawHeaders })).message).toBe(
      'Attribute id is given more than once.',
    );
    expect(receive(binary, buffer({}), { rawHeaders: rawHeaders.slice(0, 4) }).event.id).toBe('id-1');
  });

  it('a structured event whose header contradicts its body', () => {
    const headers = { ...structured, 'ce-id': 'id-2' };
    expect(refusal(() => receive(headers, buffer(attributes))).message).toContain('id is one thing in a header');
  });

  it('and never repeats the data', () => {
    const failure = refusal(() => receive(binary, buffer('{"password":hunter2}')));
    expect(failure.message).toBe('data is not JSON.');
    expect([failure.code, failure.facts, failure.cause]).toEqual(['invalid-event', { attribute: 'data' }, undefined]);
  });
});

function refusal(work: () => unknown): Failure {
  try {
    work();
  } catch (caught) {
    if (caught instanceof Failure) return caught;
    throw caught;
  }
  throw new Error('the event was accepted');
}

function omit(headers: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));
}
