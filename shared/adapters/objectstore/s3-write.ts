import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type Chunk, chunksOf } from '#shared/domain/objects/chunks.ts';
import type { Digest, WriteOptions, Written } from '#shared/domain/objects/ports.ts';
import { checkExpected, measured } from './measured.ts';
import { base64Of, beforeSigning, knownPayloadHash } from './s3-checksums.ts';
import type { S3Calls } from './s3-client.ts';
import { statusOf } from './s3-errors.ts';
import { uploadParts } from './s3-multipart.ts';
import { headObject, type S3Head, writeIdKey } from './s3-read.ts';

/** What the requests of one write have in common. */
export type S3Write = {
  key: string;
  onlyIfNew: boolean;
  /** For the request that begins the write. */
  fields: {
    Bucket: string;
    Key: string;
    Metadata: Record<string, string>;
    ObjectLockMode?: 'GOVERNANCE';
    ObjectLockRetainUntilDate?: Date;
  };
  /**
   * Stored with the object. An answer that was lost cannot be told from another writer's success otherwise: the
   * repetition of a conditional write meets the object of the first try.
   */
  writeId: string;
};

const condition = ({ onlyIfNew }: S3Write) => (onlyIfNew ? { IfNoneMatch: '*' } : {});

/** Writes a stream: in one request where it fits into one part, in several otherwise. */
export async function writeObject(
  calls: S3Calls,
  key: string,
  { bytes, onlyIfNew = false, expected, lockUntil }: WriteOptions & { bytes: AsyncIterable<Uint8Array> },
): Promise<Written> {
  const write = newWrite(calls.bucket, key, { onlyIfNew, lockUntil });
  const source = measured(bytes);
  const checkedDigest = () => {
    const content = source.digest();
    checkExpected(key, content, expected);
    return content;
  };
  const chunks = chunksOf(source.pieces, calls.limits.partBytes);
  try {
    const first = await chunks.next();
    if (first.done === true) throw new Failure('internal', 'A stream has at least one chunk.');
    if (!first.value.isLast) return await writeInParts(calls, write, { first: first.value, chunks, checkedDigest });
    const content = checkedDigest();
    const send = () => putWhole(calls, write, { bytes: first.value.chunk, sha256: content.sha256 });
    return await settled(calls, write, { content, checksum: base64Of(content.sha256), send });
  } finally {
    // whoever gave the bytes may close what he has open
    await chunks.return(undefined);
  }
}

async function writeInParts(
  calls: S3Calls,
  write: S3Write,
  given: { first: Chunk; chunks: AsyncGenerator<Chunk>; checkedDigest(): Digest },
): Promise<Written> {
  if (write.onlyIfNew && (await headObject(calls, write.key)) !== undefined) return { outcome: 'exists' };
  const upload = await uploadParts(calls, write, withFirst(given.first, given.chunks));
  try {
    const content = given.checkedDigest();
    const send = () => upload.complete(condition(write));
    const written = await settled(calls, write, { content, checksum: upload.checksum, send });
    if (written.outcome === 'exists') await upload.abort();
    return written;
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

function newWrite(
  bucket: string,
  key: string,
  { onlyIfNew, lockUntil }: { onlyIfNew: boolean; lockUntil: Date | undefined },
): S3Write {
  const writeId = randomUUID();
  const lock =
    lockUntil === undefined ? {} : { ObjectLockMode: 'GOVERNANCE' as const, ObjectLockRetainUntilDate: lockUntil };
  return {
    key,
    onlyIfNew,
    writeId,
    fields: { Bucket: bucket, Key: key, Metadata: { [writeIdKey]: writeId }, ...lock },
  };
}

async function* withFirst(first: Chunk, rest: AsyncGenerator<Chunk>): AsyncGenerator<Chunk> {
  yield first;
  yield* rest;
}

async function putWhole(
  calls: S3Calls,
  write: S3Write,
  { bytes, sha256 }: { bytes: Buffer; sha256: string },
): Promise<void> {
  const input = { ...write.fields, ...condition(write), Body: bytes, ChecksumSHA256: base64Of(sha256) };
  await calls.call({ what: `write ${write.key}`, bytes: bytes.length }, (client, sdk, abortSignal) => {
    const command = new sdk.PutObjectCommand(input);
    command.middlewareStack.add(knownPayloadHash(sha256), beforeSigning);
    return client.send(command, { abortSignal });
  });
}

/** Of S3: two conditional writes met (409); who tries again learns who won. */
const conflictPausesMs = [50, 100, 200, 400, 800];

/** Sends the request that makes the object seen, and looks what there is then: whatever the answer was, and without one. */
async function settled(
  calls: S3Calls,
  write: S3Write,
  { content, checksum, send }: { content: Digest; checksum: string; send(): Promise<void> },
): Promise<Written> {
  const { key, onlyIfNew, writeId } = write;
  for (const pauseMs of [...conflictPausesMs, undefined]) {
    const failure = await send().then(() => undefined, asFailure);
    if (failure !== undefined && failure.code !== 'unavailable') throw failure;
    const found = await lookAt(calls, key, { isSaidToBeThere: failure === undefined }).catch((error: unknown) => {
      throw failure ?? error;
    });
    const isOurs = found !== undefined && (found.writeId === writeId || found.writeId === undefined);
    if (failure === undefined || (isOurs && found.writeId === writeId)) {
      // whose it is otherwise: somebody else's that came after ours
      if (found === undefined || isOurs) checkStored(key, found, { size: content.size, checksum });
      return { outcome: 'written', content, stored: content };
    }
    if (onlyIfNew && found !== undefined) return { outcome: 'exists' };
    if (statusOf(failure) !== 409 || pauseMs === undefined) throw failure;
    await pause(pauseMs);
  }
  throw new Failure('internal', 'A write is settled by its last attempt.');
}

/** Some stores replace an object in two steps: what is said to be there and is not is looked for again. */
async function lookAt(
  calls: S3Calls,
  key: string,
  { isSaidToBeThere }: { isSaidToBeThere: boolean },
): Promise<S3Head | undefined> {
  for (const pauseMs of isSaidToBeThere ? [100, 400] : []) {
    const found = await headObject(calls, key);
    if (found !== undefined) return found;
    await pause(pauseMs);
  }
  return await headObject(calls, key);
}

/** @throws Failure `unavailable` when the store has something else than it was given. */
function checkStored(
  key: string,
  found: { size: number; checksumSha256: string | undefined } | undefined,
  wanted: { size: number; checksum: string },
): void {
  const told = `The store answered that ${key} was written`;
  if (found === undefined) throw new Failure('unavailable', `${told}, and it is not there.`);
  if (found.size !== wanted.size) {
    throw new Failure('unavailable', `${told}, and it has ${found.size} of its ${wanted.size} bytes.`);
  }
  if (found.checksumSha256 !== undefined && found.checksumSha256 !== wanted.checksum) {
    throw new Failure('unavailable', `${told}, and it has another checksum than what was sent.`);
  }
}
