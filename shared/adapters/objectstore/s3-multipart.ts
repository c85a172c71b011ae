import { createHash } from 'node:crypto';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { Chunk } from '#shared/domain/objects/chunks.ts';
import { base64Of, beforeSigning, knownPayloadHash } from './s3-checksums.ts';
import type { S3Calls } from './s3-client.ts';
import type { S3Write } from './s3-write.ts';

/** An upload whose parts are all there. Nobody sees it before `complete`. */
export type Upload = {
  /** That the object has as a whole, as S3 makes it: of the parts' checksums, and how many they are. */
  checksum: string;
  complete(condition: { IfNoneMatch?: string }): Promise<void>;
  /** Removes the parts. Throws nothing: what a store that does not answer keeps is removed by a rule of the bucket. */
  abort(): Promise<void>;
};

type Part = { PartNumber: number; ETag: string; ChecksumSHA256: string };

/** By S3. */
const maxParts = 10_000;
/** While one is on its way the next is filled: with these three parts are in memory. */
const partsInFlight = 2;

/** Uploads a stream in parts. When anything fails, the source included, no part is left and the failure is thrown. */
export async function uploadParts(calls: S3Calls, write: S3Write, chunks: AsyncIterable<Chunk>): Promise<Upload> {
  const uploadId = await begin(calls, write);
  const abort = () => abortUpload(calls, write, uploadId);
  const parts: Part[] = [];
  const inFlight = new Set<Promise<void>>();
  const failures: Failure[] = [];
  const throwFirst = () => {
    if (failures[0] !== undefined) throw failures[0];
  };
  let number = 0;
  try {
    for await (const { chunk } of chunks) {
      number += 1;
      if (number > maxParts) throw tooLarge(write.key, calls.limits.partBytes);
      const sent: Promise<void> = uploadPart(calls, write, { uploadId, number, bytes: chunk })
        .then((part) => void parts.push(part))
        .catch((error: unknown) => void failures.push(asFailure(error)))
        .finally(() => inFlight.delete(sent));
      inFlight.add(sent);
      if (inFlight.size >= partsInFlight) await Promise.race(inFlight);
      throwFirst();
    }
    await Promise.all(inFlight);
    throwFirst();
  } catch (error) {
    // a part that arrives after the abort would stay
    await Promise.all(inFlight);
    await abort();
    throw error;
  }
  const inOrder = parts.toSorted((a, b) => a.PartNumber - b.PartNumber);
  return {
    checksum: checksumOfParts(inOrder),
    complete: (condition) => complete(calls, write, { uploadId, parts: inOrder, condition }),
    abort,
  };
}

async function begin(calls: S3Calls, { key, fields }: S3Write): Promise<string> {
  const { UploadId } = await calls.call({ what: `begin to write ${key}` }, (client, sdk, abortSignal) =>
    client.send(new sdk.CreateMultipartUploadCommand({ ...fields, ChecksumAlgorithm: 'SHA256' }), { abortSignal }),
  );
  if (UploadId !== undefined) return UploadId;
  throw new Failure('unavailable', `The bucket ${calls.bucket} gave no id for the upload of ${key}.`);
}

async function uploadPart(
  calls: S3Calls,
  { key, fields }: S3Write,
  { uploadId, number, bytes }: { uploadId: string; number: number; bytes: Buffer },
): Promise<Part> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const ChecksumSHA256 = base64Of(sha256);
  const place = { Bucket: fields.Bucket, Key: key, UploadId: uploadId, PartNumber: number };
  const what = `write part ${number} of ${key}`;
  const { ETag } = await calls.call({ what, bytes: bytes.length }, (client, sdk, abortSignal) => {
    const command = new sdk.UploadPartCommand({ ...place, Body: bytes, ChecksumSHA256 });
    command.middlewareStack.add(knownPayloadHash(sha256), beforeSigning);
    return client.send(command, { abortSignal });
  });
  if (ETag === undefined) throw new Failure('unavailable', `The bucket ${calls.bucket} gave no tag for ${what}.`);
  return { PartNumber: number, ETag, ChecksumSHA256 };
}

async function complete(
  calls: S3Calls,
  { key, fields }: S3Write,
  { uploadId, parts, condition }: { uploadId: string; parts: readonly Part[]; condition: { IfNoneMatch?: string } },
): Promise<void> {
  const input = { Bucket: fields.Bucket, Key: key, UploadId: uploadId, MultipartUpload: { Parts: [...parts] } };
  // A store may copy the parts together before it answers. One that is asked again meanwhile does so twice.
  const bytes = parts.length * calls.limits.partBytes;
  await calls.call({ what: `finish writing ${key}`, bytes, isSilent: true }, (client, sdk, abortSignal) =>
    client.send(new sdk.CompleteMultipartUploadCommand({ ...input, ...condition }), { abortSignal }),
  );
}

async function abortUpload(calls: S3Calls, { key, fields }: S3Write, uploadId: string): Promise<void> {
  await calls
    .call({ what: `give up writing ${key}` }, (client, sdk, abortSignal) =>
      client.send(new sdk.AbortMultipartUploadCommand({ Bucket: fields.Bucket, Key: key, UploadId: uploadId }), {
        abortSignal,
      }),
    )
    .catch(() => undefined); // the failure that led here is the one to tell
}

function checksumOfParts(parts: readonly Part[]): string {
  const hash = createHash('sha256');
  for (const { ChecksumSHA256 } of parts) hash.update(Buffer.from(ChecksumSHA256, 'base64'));
  return `${hash.digest('base64')}-${parts.length}`;
}

function tooLarge(key: string, partBytes: number): Failure {
  const gibibytes = Math.floor((maxParts * partBytes) / 1024 ** 3);
  return new Failure(
    'invalid-request',
    `The object ${key} is larger than ${gibibytes} GiB, the most that is written to S3.`,
  );
}
