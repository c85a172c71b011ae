import type { IncomingHttpHeaders } from 'node:http';

/** A CloudEvent as the broker holds it: context attributes as text, `data` as it came. */
export type BrokerEvent = {
  /** Every attribute and extension but `datacontenttype`; id, source, type and specversion are always there. */
  attributes: Record<string, string>;
  /** `datacontenttype`; without it the event is delivered without a Content-Type. */
  contentType?: string;
  /** The data's bytes in base64; absent when the event has none. */
  data?: string;
  /** The W3C trace header the event came with. */
  traceparent?: string;
};

/** A request or answer that is no CloudEvent; the message says why. */
export class NotACloudEvent extends Error {}

/** Reads a CloudEvent in binary or structured mode. Batches are refused, as Knative's brokers refuse them. */
export function readEvent(headers: IncomingHttpHeaders, body: Buffer): BrokerEvent {
  const contentType = headers['content-type'] ?? '';
  if (/^application\/cloudevents-batch/i.test(contentType)) throw new NotACloudEvent('batches are not accepted');
  const event = /^application\/cloudevents(\+json)?\s*(;|$)/i.test(contentType)
    ? readStructured(body)
    : readBinary(headers, body);
  checkAttributes(event.attributes);
  const { traceparent } = headers;
  return typeof traceparent === 'string' ? { ...event, traceparent } : event;
}

/** The request that delivers an event in binary mode. */
export function toRequest(event: BrokerEvent): { headers: Record<string, string>; body: Buffer } {
  const headers: Record<string, string> = {};
  // header values are bytes: text beyond ASCII goes out as UTF-8, as Go's HTTP client sends it
  for (const [name, value] of Object.entries(event.attributes)) {
    headers[`ce-${name}`] = Buffer.from(value, 'utf8').toString('latin1');
  }
  if (event.contentType !== undefined) headers['content-type'] = event.contentType;
  if (event.traceparent !== undefined) headers['traceparent'] = event.traceparent;
  return { headers, body: Buffer.from(event.data ?? '', 'base64') };
}

/** The event in structured mode, for files that people read. JSON data is shown as JSON. */
export function toStructured(event: BrokerEvent): Record<string, unknown> {
  const { attributes, contentType, data } = event;
  const structured: Record<string, unknown> = { ...attributes };
  if (contentType !== undefined) structured['datacontenttype'] = contentType;
  if (data === undefined) return structured;
  const json = isJson(contentType) ? parseJson(Buffer.from(data, 'base64')) : undefined;
  return json === undefined ? { ...structured, data_base64: data } : { ...structured, data: json };
}

function readBinary(headers: IncomingHttpHeaders, body: Buffer): BrokerEvent {
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || typeof value !== 'string') continue;
    attributes[name.slice(3)] = Buffer.from(value, 'latin1').toString('utf8');
  }
  const contentType = headers['content-type'];
  return withData(attributes, contentType, body.length === 0 ? undefined : body);
}

function readStructured(body: Buffer): BrokerEvent {
  const parsed = parseJson(body);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new NotACloudEvent('the body is not a JSON object');
  }
  const { data, data_base64: base64, datacontenttype, ...rest } = parsed as Record<string, unknown>;
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(rest)) {
    if (value === null) continue;
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new NotACloudEvent(`attribute ${name} is neither text, number nor boolean`);
    }
    attributes[name] = String(value);
  }
  const contentType = typeof datacontenttype === 'string' ? datacontenttype : undefined;
  if (typeof base64 === 'string') return withData(attributes, contentType, Buffer.from(base64, 'base64'));
  if (data === undefined) return withData(attributes, contentType, undefined);
  const isText = typeof data === 'string' && contentType !== undefined && !isJson(contentType);
  return withData(attributes, contentType, Buffer.from(isText ? data : JSON.stringify(data)));
}

function withData(
  attributes: Record<string, string>,
  contentType: string | undefined,
  data: Buffer | undefined,
): BrokerEvent {
  const event: BrokerEvent = { attributes };
  if (contentType !== undefined) event.contentType = contentType;
  if (data !== undefined) event.data = data.toString('base64');
  return event;
}

function checkAttributes(attributes: Record<string, string>): void {
  for (const name of ['specversion', 'id', 'source', 'type']) {
    if (!attributes[name]) throw new NotACloudEvent(`attribute ${name} is missing`);
  }
  if (!/^(1\.0|0\.3)$/.test(attributes['specversion'] ?? '')) throw new NotACloudEvent('specversion is not 1.0');
  const time = attributes['time'];
  if (time !== undefined && Number.isNaN(Date.parse(time))) throw new NotACloudEvent('time is not an RFC 3339 time');
  const odd = Object.keys(attributes).find((name) => !/^[a-z0-9]+$/.test(name));
  if (odd !== undefined)
    throw new NotACloudEvent(`attribute name ${JSON.stringify(odd)} is not lower-case letters and digits`);
}

function isJson(contentType: string | undefined): boolean {
  return contentType === undefined || /^[^;]*[/+]json\s*(;|$)/i.test(contentType);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // the callers treat undefined as "not JSON"
    return undefined;
  }
}
