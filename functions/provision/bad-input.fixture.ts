import { provisionRequested } from '#events/instance/provision-requested.ts';
import { provisionRequest, type RawEvent, rawEvent } from '#shared/testing/fleet.ts';

/** A good request, changed. */
export function request(change: {
  data?: Record<string, unknown>;
  headers?: Record<string, string>;
  body?: string | Buffer;
}) {
  const event = provisionRequest('good', change.data);
  const raw = rawEvent(event);
  return { headers: { ...raw.headers, ...change.headers }, body: change.body ?? raw.body };
}

function withoutField(name: string): RawEvent {
  const event = provisionRequest('good');
  const data = { ...(event.data as Record<string, unknown>) };
  delete data[name];
  return rawEvent({ ...event, data });
}

const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);

/**
 * What nobody can handle, with the reason that is kept.
 * `by: function`: the broker itself refuses these, so they can only come from somebody who posts to the function.
 */
export const badEvents: { what: string; event: () => RawEvent; reason: RegExp; by?: 'function' }[] = [
  { what: 'data that is not JSON', event: () => request({ body: '{"customer":' }), reason: /^data is not JSON/ },
  { what: 'no data', event: () => request({ body: '' }), reason: /data must be an object/ },
  {
    what: 'another content type',
    event: () => request({ headers: { 'content-type': 'text/plain' } }),
    reason: /Attribute datacontenttype is "text\/plain"/,
  },
  {
    what: 'another charset',
    event: () => request({ headers: { 'content-type': 'application/json; charset=latin1' } }),
    reason: /datacontenttype has the charset/,
  },
  {
    what: '1 MiB and one byte',
    event: () => {
      const { headers, body } = request({});
      return { headers, body: body.toString().padEnd(1024 * 1024 + 1, ' ') };
    },
    reason: /larger than 1048576 bytes/,
  },
  {
    what: 'an unknown type',
    event: () => request({ headers: { 'ce-type': 'dev.odoofleet.instance.wish', 'ce-opkind': 'provision' } }),
    reason: /type "dev\.odoofleet\.instance\.wish" is not in the catalogue/,
  },
  {
    what: 'a type of another function',
    event: () => request({ headers: { 'ce-type': 'dev.knative.sources.ping', 'ce-opkind': 'provision' } }),
    reason: /type dev\.knative\.sources\.ping are not for this function/,
  },
  {
    what: 'an unknown version of the type',
    event: () => request({ headers: { 'ce-type': `${provisionRequested.type}.v2`, 'ce-opkind': 'provision' } }),
    reason: /Version 2 of dev\.odoofleet\.instance\.provision\.requested is not understood/,
  },
  {
    what: 'a missing field',
    event: () => withoutField('customer'),
    reason: /data\.customer is missing/,
  },
  {
    what: 'a missing field below',
    event: () => request({ data: { owner: {} } }),
    reason: /data\.owner\.email is missing/,
  },
  {
    what: 'an extra field',
    event: () => request({ data: { superuser: true } }),
    reason: /data\.superuser is not a known field/,
  },
  {
    what: 'a field of another type',
    event: () => request({ data: { modules: 'crm' } }),
    reason: /data\.modules must be a list/,
  },
  { what: 'deep nesting', event: () => request({ data: { settings: deep(40) } }), reason: /data .*deep|nested/ },
  {
    what: 'nesting that would exhaust a stack',
    event: () => request({ body: `${'['.repeat(200_000)}${']'.repeat(200_000)}` }),
    reason: /data .*deep|nested/,
  },
  { what: 'an escaped NUL byte', event: () => request({ data: { name: 'a\u0000b' } }), reason: /data(\.name)?/ },
  { what: 'a NUL byte', event: () => request({ body: '{"name":"a\u0000b"}' }), reason: /^data is not JSON/ },
  {
    what: 'bytes that are not UTF-8',
    event: () => request({ body: Buffer.from([0x22, 0xff, 0x22]) }),
    reason: /UTF-8/,
  },
  { what: 'an emoji name', event: () => request({ data: { name: '🐘' } }), reason: /data\.name must be a DNS label/ },
  { what: 'another subject', event: () => request({ headers: { 'ce-subject': 'x' } }), reason: /Attribute subject/ },
  {
    what: 'a batch',
    event: () => ({ headers: { 'content-type': 'application/cloudevents-batch+json' }, body: '[{}]' }),
    reason: /Attribute datacontenttype|Batches are not accepted/,
    by: 'function',
  },
  {
    what: 'no CloudEvent',
    event: () => ({ headers: { 'content-type': 'application/json' }, body: '{}' }),
    reason: /Attribute specversion is missing/,
    by: 'function',
  },
  {
    what: 'another version of CloudEvents',
    event: () => request({ headers: { 'ce-specversion': '0.3' } }),
    reason: /Attribute specversion is "0\.3"/,
  },
  {
    what: 'no id',
    event: () => {
      const { headers, body } = request({});
      const { 'ce-id': _, ...rest } = headers;
      return { headers: rest, body };
    },
    reason: /Attribute id is missing/,
    by: 'function',
  },
  {
    what: 'a time that is none',
    event: () => request({ headers: { 'ce-time': 'yesterday' } }),
    reason: /Attribute time is not an RFC 3339/,
    by: 'function',
  },
];

/** Names that no instance may have, each with what a terminal shows of it. */
export const hostileNames: [what: string, name: string][] = [
  [JSON.stringify('a"; DROP DATABASE x; --'), 'a"; DROP DATABASE x; --'],
  [JSON.stringify("a'; drop table instances; --"), "a'; drop table instances; --"],
  ['64 bytes', 'x'.repeat(64)],
  ['10,000 bytes', 'x'.repeat(10_000)],
  [JSON.stringify('--host=example'), '--host=example'],
  [JSON.stringify('-d'), '-d'],
  [JSON.stringify('../../etc/passwd'), '../../etc/passwd'],
  [JSON.stringify('a\nb'), 'a\nb'],
  [JSON.stringify('a\r\nX-Header: b'), 'a\r\nX-Header: b'],
  [JSON.stringify('Ä'), 'Ä'],
  [JSON.stringify('a b'), 'a b'],
  [JSON.stringify('a.b'), 'a.b'],
  [JSON.stringify('$(reboot)'), '$(reboot)'],
  [JSON.stringify(''), ''],
];
