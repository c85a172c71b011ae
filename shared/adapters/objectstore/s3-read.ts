import type { Readable } from 'node:stream';
import type * as S3 from '@aws-sdk/client-s3';
import { Failure } from '#shared/domain/failure.ts';
import { checkFrom } from '#shared/domain/objects/keys.ts';
import type { ObjectHead, ReadObject } from '#shared/domain/objects/ports.ts';
import { type S3Calls, timeFor } from './s3-client.ts';
import { s3Failure, statusOf } from './s3-errors.ts';

/** The name of the metadata that says which write an object is of. */
export const writeIdKey = 'fleet-write';

export type S3Head = ObjectHead & { writeId: string | undefined; checksumSha256: string | undefined };

export async function headObject(calls: S3Calls, key: string): Promise<S3Head | undefined> {
  const found = await missingAsUndefined(
    calls.call({ what: `look at ${key}` }, (client, sdk, abortSignal) =>
      client.send(new sdk.HeadObjectCommand({ Bucket: calls.bucket, Key: key, ChecksumMode: 'ENABLED' }), {
        abortSignal,
      }),
    ),
  );
  if (found === undefined) return undefined;
  return {
    size: found.ContentLength ?? 0,
    writtenAt: found.LastModified ?? new Date(),
    lockedUntil: found.ObjectLockRetainUntilDate,
    writeId: found.Metadata?.[writeIdKey],
    checksumSha256: found.ChecksumSHA256,
  };
}

/** As a stream that goes on where it was when its connection breaks. */
export async function readObject(calls: S3Calls, key: string, from = 0): Promise<ReadObject | undefined> {
  const first = await missingAsUndefined(getFrom(calls, key, { at: from })).catch(async (error: unknown) => {
    if (statusOf(error) !== 416) throw error;
    checkFrom(key, { from, size: (await headObject(calls, key))?.size ?? 0 });
    throw error;
  });
  if (first === undefined) return undefined;
  const size = from + (first.ContentLength ?? 0);
  return { size, bytes: piecesOf(calls, key, { first, size, from }) };
}

/** As a whole, in a time that is bounded. */
export async function getObject(calls: S3Calls, key: string): Promise<Buffer | undefined> {
  const startedMs = performance.now();
  const found = await readObject(calls, key);
  if (found === undefined) return undefined;
  const pieces: Buffer[] = [];
  for await (const piece of found.bytes) {
    pieces.push(piece);
    // a service that sends a byte a second is never idle
    if (performance.now() - startedMs < timeFor(calls.limits, found.size)) continue;
    throw new Failure('unavailable', `The bucket ${calls.bucket} gives ${key} too slowly.`);
  }
  return Buffer.concat(pieces);
}

type Got = S3.GetObjectCommandOutput;
/** Breaks in a row without a byte between them. */
const maxBreaks = 3;

async function* piecesOf(
  calls: S3Calls,
  key: string,
  { first, size, from }: { first: Got; size: number; from: number },
): AsyncGenerator<Buffer> {
  let read = from;
  let breaks = 0;
  let current: Got | undefined = first;
  while (read < size || current === first) {
    try {
      current ??= await getFrom(calls, key, { at: read, etag: first.ETag });
      for await (const piece of current.Body as AsyncIterable<Uint8Array>) {
        read += piece.length;
        breaks = 0;
        if (read > size) throw tooMuch(key, size);
        yield Buffer.from(piece.buffer, piece.byteOffset, piece.length);
      }
      if (read < size) throw new Error(`the answer ended after ${read} of ${size} bytes`);
      return;
    } catch (error) {
      if (statusOf(error) === 412 || statusOf(error) === 404) {
        throw new Failure('unavailable', `The object ${key} was replaced or removed while it was read.`, {
          cause: error,
        });
      }
      breaks += 1;
      const isFinal = error instanceof Failure && error.code !== 'unavailable';
      if (breaks > maxBreaks || isFinal) throw asBroken(error, { what: `read ${key}`, bucket: calls.bucket });
      current = undefined;
    }
  }
}

function tooMuch(key: string, size: number): Failure {
  return new Failure('damaged', `The object ${key} has more than the ${size} bytes it was said to have.`);
}

function asBroken(error: unknown, options: { what: string; bucket: string }): Failure {
  return error instanceof Failure ? error : s3Failure(error, { ...options, isOutOfTime: false });
}

async function getFrom(
  calls: S3Calls,
  key: string,
  { at, etag }: { at: number; etag?: string | undefined },
): Promise<Got> {
  const range = at === 0 ? {} : { Range: `bytes=${at}-` };
  // another object under the same key is no continuation of this one
  const same = etag === undefined ? {} : { IfMatch: etag };
  const input = { Bucket: calls.bucket, Key: key, ...range, ...same };
  const found = await calls.call({ what: `read ${key}` }, (client, sdk, abortSignal) =>
    client.send(new sdk.GetObjectCommand(input), { abortSignal }),
  );
  if (at === 0 || found.ContentRange?.startsWith(`bytes ${at}-`) === true) return found;
  (found.Body as Readable | undefined)?.destroy();
  throw new Failure(
    'misconfigured',
    `The bucket ${calls.bucket} gives ${key} only from its beginning: it takes no ranges.`,
  );
}

/** A missing object is no failure; a missing bucket is. */
async function missingAsUndefined<Result>(asked: Promise<Result>): Promise<Result | undefined> {
  return await asked.catch((error: unknown) => {
    const cause = error instanceof Failure ? error.cause : error;
    const name = (cause as { name?: unknown } | undefined)?.name;
    if (statusOf(error) === 404 && name !== 'NoSuchBucket') return undefined;
    throw error;
  });
}
