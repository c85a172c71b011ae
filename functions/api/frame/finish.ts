import { type Failure, failureCodes } from '#shared/domain/failure.ts';
import type { LimitAnswer } from '../ports.ts';
import { problemOf } from '../problem.ts';
import type { Reply, Route } from '../route.ts';
import { compressedTag, encode, entityTag, namesTag } from './encode.ts';
import type { Responded, RoutedRequest } from './respond.ts';

/** An answer as it is sent. */
export type Finished = {
  status: number;
  headers: Record<string, string>;
  body: string | Buffer | ReadableStream<Uint8Array> | null;
  /** For the numbers: a word of a closed list. */
  outcome: string;
};

/** No page of anybody's may read, frame or keep what is answered here. There are no CORS headers on purpose. */
const secure: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
};

/** Answers with a validator may be kept by the asking client, and are asked after each time. */
const revalidated = 'private, no-cache';

/** Makes the answer of a reply: JSON, validator, 304, compression. */
export async function finish(
  route: Route,
  request: Pick<RoutedRequest, 'headers' | 'isHead'>,
  { reply, limited }: Responded,
): Promise<Finished> {
  const { status, stream, content } = reply;
  const headers: Record<string, string> = {
    ...secure,
    ...limitHeaders(limited),
    ...(reply.cache === undefined ? {} : { 'x-cache': reply.cache }),
    ...reply.headers,
    ...content?.headers,
  };
  const isKept = headers['cache-control'] !== 'no-store';
  headers['cache-control'] ??= 'no-store';
  const isRepeated = headers['idempotency-replayed'] === 'true';
  const outcome = status >= 300 ? 'refused' : isRepeated ? 'repeated' : 'done';
  if (stream !== undefined && request.isHead) {
    await endOf(stream.pieces[Symbol.asyncIterator](), { isBegun: false });
    return { status, headers: streamHeaders(headers, stream.type), body: null, outcome };
  }
  if (stream !== undefined)
    return { status, headers: streamHeaders(headers, stream.type), body: bytesOf(stream), outcome };
  if (content === undefined && reply.body === undefined) return { status, headers, body: null, outcome };
  const type = content?.type ?? 'application/json';
  const text = content?.text ?? JSON.stringify(reply.body);
  const tag = isKept ? tagOf(route, reply, text) : undefined;
  if (tag !== undefined) Object.assign(headers, { etag: tag, 'cache-control': revalidated });
  if (tag !== undefined && route.method === 'GET' && status === 200 && namesTag(request.headers['if-none-match'], tag))
    return { status: 304, headers: { ...headers, vary: 'accept-encoding' }, body: null, outcome: 'unchanged' };
  const encoded = await encode(text, { type, acceptEncoding: request.headers['accept-encoding'] });
  if (tag !== undefined && encoded.headers['content-encoding'] !== undefined) headers['etag'] = compressedTag(tag);
  return { status, headers: { ...headers, 'content-type': type, ...encoded.headers }, body: encoded.body, outcome };
}

function tagOf(route: Route, { etag, status }: Reply, text: string): string | undefined {
  if (route.method === 'GET' && status === 200) return entityTag(text, etag);
  return etag === undefined ? undefined : `"${etag}"`;
}

/** For the numbers and the log alone, by the status that nginx gives it: there is nobody to answer. */
export const finishedByCaller: Finished = { status: 499, headers: {}, body: null, outcome: 'gone' };

/** The answer to a failure. */
export function failed(
  failure: Failure,
  requestId: string,
  { isKeyed = false, ...instead }: { status?: number; isKeyed?: boolean } = {},
): Finished {
  const { problem: stated, retryAfterS } = problemOf(failure, requestId, { isKeyed });
  const problem = { ...stated, ...instead };
  const headers: Record<string, string> = {
    ...secure,
    'cache-control': 'no-store',
    'content-type': 'application/problem+json',
    ...(retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }),
    ...(problem.status === 401 ? { 'www-authenticate': 'Bearer realm="odoo-fleet"' } : {}),
  };
  const isPermanent = failureCodes[failure.code] === 'permanent' && problem.status < 500;
  const outcome =
    problem.status >= 500 ? (problem.status === 503 ? 'unavailable' : 'error') : isPermanent ? 'refused' : 'limited';
  return { status: problem.status, headers, body: JSON.stringify(problem), outcome };
}

function limitHeaders(limited: LimitAnswer | undefined): Record<string, string> {
  if (limited === undefined) return {};
  return { 'ratelimit-limit': String(limited.limit), 'ratelimit-remaining': String(limited.remaining) };
}

function streamHeaders(headers: Record<string, string>, type: string): Record<string, string> {
  // proxies would gather small pieces, which are news here
  return { ...headers, 'content-type': type, 'x-accel-buffering': 'no' };
}

function bytesOf({ pieces }: NonNullable<Reply['stream']>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  let isBegun = false;
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      isBegun = true;
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await endOf(iterator, { isBegun });
    },
  };
  // nothing is begun before somebody reads
  return new ReadableStream(source, { highWaterMark: 0 });
}

/** Ends pieces of which more may come. A generator that was never begun does not hear that it ends: its first piece is thrown away. */
async function endOf(iterator: AsyncIterator<string>, { isBegun }: { isBegun: boolean }): Promise<void> {
  if (!isBegun) await iterator.next();
  await iterator.return?.();
}
