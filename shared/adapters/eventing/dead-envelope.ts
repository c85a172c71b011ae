import type { IncomingHttpHeaders } from 'node:http';

/** What can be read of a request that is no good event, for the row that keeps it. */
export type DeadEnvelope = {
  source: string | null;
  id: string | null;
  type: string | null;
  contentType: string | null;
  attributes: Record<string, string>;
};

// A bad event may have anything; the row is for people and need not hold all of it.
const maxAttributes = 60;
const maxLength = 2_048;

/** Reads what is there and believes nothing: no decoding, no checks, no errors. */
export function readDeadEnvelope(headers: IncomingHttpHeaders, body: Buffer): DeadEnvelope {
  const contentType = headers['content-type'] ?? null;
  const isStructured = contentType !== null && /^application\/cloudevents/i.test(contentType);
  const found = isStructured ? [...fromHeaders(headers), ...fromBody(body)] : fromHeaders(headers);
  const attributes = Object.fromEntries(found.slice(0, maxAttributes));
  return {
    source: attributes['source'] ?? null,
    id: attributes['id'] ?? null,
    type: attributes['type'] ?? null,
    contentType: contentType?.slice(0, maxLength) ?? null,
    attributes,
  };
}

function fromHeaders(headers: IncomingHttpHeaders): [string, string][] {
  return Object.entries(headers)
    .filter(([name]) => name.startsWith('ce-'))
    .map(([name, value]) => [name.slice(3, 67), String(value).slice(0, maxLength)]);
}

function fromBody(body: Buffer): [string, string][] {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return [];
    return Object.entries(parsed)
      .filter(([name, value]) => !name.startsWith('data_') && name !== 'data' && typeof value !== 'object')
      .map(([name, value]) => [name.slice(0, 64), String(value).slice(0, maxLength)]);
  } catch {
    // what cannot be read has no attributes; the body is kept as it came
    return [];
  }
}
