import type { IncomingHttpHeaders } from 'node:http';
import { isStructuredMode } from './broker-attributes.ts';
import { type DeadEnvelope, readDeadEnvelope } from './dead-envelope.ts';

/** A dead letter as a broker delivers it to a dead letter sink. */
export type DeadLetter = DeadEnvelope & {
  /** `knativeerrordest`: where it was to be delivered. */
  origin: string | null;
  /** `knativeerrorcode`: the status it was answered with there, −1 for none; null when the broker does not say. */
  errorCode: number | null;
  /** `knativeerrordata`: the beginning of that answer's body. */
  errorData: string | null;
};

const maxErrorData = 1_024;

/** Reads what is there and believes nothing: no checks, no errors. Headers are kept whole: they are sent again. */
export function readDeadLetter(headers: IncomingHttpHeaders, body: Buffer): DeadLetter {
  const envelope = readDeadEnvelope(headers, body);
  const attributes = isStructuredMode(envelope.contentType) ? envelope.attributes : fromHeaders(headers);
  const code = attributes['knativeerrorcode'];
  return {
    ...envelope,
    contentType: headers['content-type'] ?? null,
    attributes,
    origin: attributes['knativeerrordest'] ?? null,
    errorCode: code !== undefined && /^-?\d{1,9}$/.test(code) ? Number(code) : null,
    errorData: decodeErrorData(attributes['knativeerrordata']),
  };
}

function fromHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const found = Object.entries(headers).filter(([name]) => name.startsWith('ce-'));
  return Object.fromEntries(found.map(([name, value]) => [name.slice(3), String(value)]));
}

/** Base64 of the answer's beginning, which may end within a character or within a group. */
function decodeErrorData(data: string | undefined): string | null {
  if (data === undefined || data === '') return null;
  const isBase64 = /^[A-Za-z0-9+/]+=*$/.test(data);
  const text = isBase64 ? Buffer.from(data, 'base64').toString('utf8') : data;
  return text.slice(0, maxErrorData);
}
