import type { IncomingHttpHeaders } from 'node:http';
import { type Attributes, noAttributes, refusedAttribute } from './attributes.ts';

const needsNoDecoding = /^[\x20\x21\x23\x24\x26-\x7e]*$/;
const isAscii = /^[\t\x20-\x7e]*$/;

/**
 * The `ce-` headers as attributes, decoded as the CloudEvents HTTP binding asks: quotes of older senders removed, then
 * one round of percent-decoding (which the SDK leaves out).
 * @throws Failure `invalid-event` when a header is not ASCII, not valid UTF-8 after decoding, or given twice.
 */
export function attributesFromHeaders(headers: IncomingHttpHeaders): Attributes {
  const attributes = noAttributes();
  for (const header in headers) {
    if (!header.startsWith('ce-')) continue;
    const value: unknown = headers[header];
    const name = header.slice(3);
    if (typeof value === 'string') attributes[name] = decodeValue(name, value);
    else if (Array.isArray(value)) throw refusedAttribute(name, 'is given more than once');
  }
  return attributes;
}

/** Refuses headers that are given twice: Node joins or drops them, and which one counts would be a guess. */
export function refuseRepeatedHeaders(rawHeaders: readonly string[]): void {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const header = (rawHeaders[index] ?? '').toLowerCase();
    if (!header.startsWith('ce-') && header !== 'content-type') continue;
    if (seen.has(header)) throw refusedAttribute(header.replace(/^ce-/, ''), 'is given more than once');
    seen.add(header);
  }
}

function decodeValue(name: string, value: string): string {
  if (needsNoDecoding.test(value)) return value;
  if (!isAscii.test(value)) {
    throw refusedAttribute(name, 'is not ASCII; other characters are percent-encoded in headers');
  }
  const unquoted = /^"(?:[^"\\]|\\.)*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
  try {
    // a percent sign without two hexadecimal digits stands for itself
    return unquoted.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeURIComponent);
  } catch {
    throw refusedAttribute(name, 'is not valid UTF-8 after percent-decoding');
  }
}

/** A value as a header: everything but printable ASCII, blanks, quotes and percent signs are percent-encoded. */
export function encodeValue(value: string): string {
  return /^[\x21\x23\x24\x26-\x7e]*$/.test(value)
    ? value
    : value.toWellFormed().replace(/[^\x21\x23\x24\x26-\x7e]+/gu, encodeURIComponent);
}
