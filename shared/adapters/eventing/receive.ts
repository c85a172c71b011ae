import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import { CloudEvent, ValidationError } from 'cloudevents';
import { Failure } from '#shared/domain/failure.ts';
import { type Attributes, checkAttributes, extensionsOf, noAttributes, refusedAttribute, shown } from './attributes.ts';
import { checkJson, hashOfData } from './canonical-json.ts';
import { attributesFromHeaders, refuseRepeatedHeaders } from './headers.ts';
import { isPlainReference } from './plain-reference.ts';

/** The largest body that is read as an event. Brokers take at most about as much. */
export const maxEventBytes = 1024 * 1024;
/** Data nested deeper than this is refused. */
export const maxDataDepth = 32;

const anyTime = '2000-01-01T00:00:00Z';

/** A CloudEvent whose envelope is right. Whether its data is, the catalogue says. */
export type ReceivedEvent = {
  event: {
    id: string;
    source: string;
    type: string;
    subject: string | undefined;
    /** As sent: RFC 3339. */
    time: string | undefined;
    extensions: Record<string, string>;
    /** Undefined when the event has none. */
    data: unknown;
  };
  /** sha256 of the canonical JSON of `data`: the same for every encoding of one event. */
  readonly dataHash: Buffer;
};

/**
 * Reads an HTTP request as a CloudEvent 1.0 with JSON data, in binary or structured mode, by the `cloudevents` SDK
 * inside a strict layer for what the SDK lets through. A missing content type means JSON.
 *
 * Pass `rawHeaders` where they are known: only they show headers that were given twice.
 * @throws Failure `invalid-event` whose text names the attribute.
 */
export function receive(
  headers: IncomingHttpHeaders,
  body: Buffer,
  options: { rawHeaders?: readonly string[] } = {},
): ReceivedEvent {
  if (body.length > maxEventBytes) throw refused('body', `The event is larger than ${maxEventBytes} bytes.`);
  if (options.rawHeaders !== undefined) refuseRepeatedHeaders(options.rawHeaders);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw refused('body', `The body is compressed (${shown(encoding)}). Send it as it is.`);
  }
  const { attributes, data } = isStructured(headers['content-type'])
    ? readStructured(headers, body)
    : readBinary(headers, body);
  checkAttributes(attributes);
  const event = build(attributes);
  checkJson(data, { maxDepth: maxDataDepth });
  let dataHash: Buffer | undefined;
  return {
    event: {
      id: event.id,
      source: event.source,
      type: event.type,
      subject: event.subject,
      time: attributes['time'],
      extensions: extensionsOf(attributes),
      data,
    },
    // on demand: ticks and the large objects of the cluster's source are never compared
    get dataHash() {
      dataHash ??= hashOfData(data);
      return dataHash;
    },
  };
}

type Read = { attributes: Attributes; data: unknown };

function isStructured(contentType: string | undefined): boolean {
  const mediaType = mediaTypeOf(contentType);
  if (!mediaType?.startsWith('application/cloudevents')) return false;
  if (mediaType.startsWith('application/cloudevents-batch')) {
    throw refused('datacontenttype', 'Batches are not accepted. Send one event per request.');
  }
  if (mediaType !== 'application/cloudevents+json' && mediaType !== 'application/cloudevents') {
    throw refused('datacontenttype', `The event format ${shown(mediaType)} is not understood. Send JSON.`);
  }
  refuseOtherCharset(contentType);
  return true;
}

function readBinary(headers: IncomingHttpHeaders, body: Buffer): Read {
  const attributes = attributesFromHeaders(headers);
  if (attributes['datacontenttype'] !== undefined) {
    throw refusedAttribute('datacontenttype', 'is given as a ce- header; in binary mode Content-Type says it');
  }
  if (body.length === 0) return { attributes, data: undefined };
  const contentType = headers['content-type'];
  refuseOtherThanJson(contentType);
  return { attributes, data: parseJson(body, 'data') };
}

function readStructured(headers: IncomingHttpHeaders, body: Buffer): Read {
  const parsed = parseJson(body, 'The body');
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw refused('body', 'The body is not a JSON object.');
  }
  const { data, data_base64: base64, ...rest } = parsed as Record<string, unknown>;
  const attributes = noAttributes();
  for (const [name, value] of Object.entries(rest)) {
    // null is how JSON says "not set"
    if (value !== null) attributes[name] = textOf(name, value);
  }
  refuseContradiction(headers, attributes);
  refuseOtherThanJson(attributes['datacontenttype']);
  if (base64 === undefined || base64 === null) return { attributes, data };
  if (data !== undefined && data !== null) throw refusedAttribute('data_base64', 'is given together with data');
  return { attributes, data: parseJson(decodeBase64(base64), 'data_base64') };
}

/** CloudEvents knows text, booleans and whole numbers of 32 bits; the required attributes are text. */
function textOf(name: string, value: unknown): string {
  if (typeof value === 'string') return value;
  const isCore = ['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype'].includes(name);
  const isInteger = typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2 ** 31;
  if (!isCore && (typeof value === 'boolean' || isInteger)) return String(value);
  throw refusedAttribute(/^[a-z0-9]+$/.test(name) ? name : shown(name), 'is not text');
}

/** A structured event whose `ce-` headers say something else about it: one of the two lies. */
function refuseContradiction(headers: IncomingHttpHeaders, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributesFromHeaders(headers))) {
    if (attributes[name] !== undefined && attributes[name] !== value) {
      throw refusedAttribute(name, 'is one thing in a header and another in the body');
    }
  }
}

function decodeBase64(value: unknown): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : undefined;
  // Node skips what is no base64; writing it again shows whether anything was skipped
  if (bytes === undefined || bytes.toString('base64').replace(/=+$/, '') !== String(value).replace(/=+$/, '')) {
    throw refusedAttribute('data_base64', 'is not base64');
  }
  return bytes;
}

function parseJson(body: Buffer, what: string): unknown {
  const attribute = what === 'The body' ? 'body' : what;
  if (body.length === 0) throw refused(attribute, `${what} is empty.`);
  if (!isUtf8(body)) throw refused(attribute, `${what} is not valid UTF-8.`);
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    // not as a cause: the parser's message quotes what was sent, which may be a secret
    throw refused(attribute, `${what} is not JSON.`);
  }
}

function refuseOtherThanJson(contentType: string | undefined): void {
  if (contentType === undefined || contentType === 'application/json') return;
  const mediaType = mediaTypeOf(contentType) ?? '';
  if (!/^[^/;]+\/([^/;]+\+)?json$/.test(mediaType)) {
    throw refusedAttribute('datacontenttype', `is ${shown(mediaType)}; only JSON is understood`);
  }
  refuseOtherCharset(contentType);
}

function refuseOtherCharset(contentType: string | undefined): void {
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)"?/i.exec(contentType ?? '')?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw refusedAttribute('datacontenttype', `has the charset ${shown(charset)}; only UTF-8 is understood`);
  }
}

function mediaTypeOf(contentType: string | undefined): string | undefined {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase();
}

/**
 * By the SDK, with its own check against the CloudEvents schema (URIs and the like). Its reading of headers and bodies
 * (`HTTP.toEvent`) is left out: it decodes nothing, knows few content types, and costs as much again.
 *
 * Extensions were checked by the same rules and do not pass through it: some of their names mean something else to the
 * SDK (`schemaurl` is a TypeError). Nor does the time, which was checked: without one the SDK formats the present.
 */
function build(attributes: Attributes): CloudEvent<unknown> {
  const { specversion, id, source, type, subject, datacontenttype, dataschema } = attributes;
  const core = { specversion, id, source, type, subject, datacontenttype, dataschema, time: anyTime };
  // all else that the schema asks for was checked
  const needsLook = dataschema !== undefined || !isPlainReference(source ?? '');
  try {
    return new CloudEvent<unknown>(core as Partial<CloudEvent<unknown>>, needsLook);
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    const [first] = error.errors as readonly { instancePath?: string; message?: string }[];
    const name = first?.instancePath?.slice(1) || 'id';
    throw refusedAttribute(name, `is not what CloudEvents 1.0 asks for: it ${first?.message ?? 'is wrong'}`);
  }
}

function refused(attribute: string, text: string): Failure {
  return new Failure('invalid-event', text, { facts: { attribute } });
}
