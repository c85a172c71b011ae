import { Failure } from '#shared/domain/failure.ts';
import { checkKey, checkPrefix } from '#shared/domain/objects/keys.ts';
import type { ObjectStore, WriteOptions, Written } from '#shared/domain/objects/ports.ts';
import { onePiece } from './measured.ts';
import { openS3Calls, type S3Access, type S3Calls } from './s3-client.ts';
import { nameOf, statusOf } from './s3-errors.ts';
import { getObject, headObject, readObject } from './s3-read.ts';
import { removeObject } from './s3-remove.ts';
import { writeObject } from './s3-write.ts';

const maxPage = 1_000;

/**
 * An object store in a bucket of an S3 service. Each write is looked at afterwards: size, and checksum where the service
 * keeps one. The bucket wants a rule that aborts multipart uploads after a day: what a writer that was killed leaves
 * behind is seen by nobody and takes room.
 */
export function openS3Store(access: S3Access): ObjectStore {
  const calls = openS3Calls(access);
  let lockOffered: Promise<boolean> | undefined;

  async function write(key: string, bytes: AsyncIterable<Uint8Array>, options: WriteOptions = {}): Promise<Written> {
    checkKey(key);
    const { lockUntil, ...others } = options;
    if (lockUntil !== undefined) {
      lockOffered ??= offersLock(calls).catch((error: unknown) => {
        lockOffered = undefined;
        throw error;
      });
    }
    const isLocked = lockUntil !== undefined && (await lockOffered) === true;
    return await writeObject(calls, key, { ...others, ...(isLocked ? { lockUntil } : {}), bytes });
  }

  return {
    put: async (key, bytes, options) => (await write(key, onePiece(bytes), options)).outcome,
    write,

    async get(key) {
      checkKey(key);
      return await getObject(calls, key);
    },

    async read(key, { from = 0 } = {}) {
      checkKey(key);
      return await readObject(calls, key, from);
    },

    async head(key) {
      checkKey(key);
      const found = await headObject(calls, key);
      if (found === undefined) return undefined;
      const { size, writtenAt, lockedUntil } = found;
      return { size, writtenAt, lockedUntil };
    },

    async list({ prefix, after, limit = maxPage }) {
      checkPrefix(prefix);
      const input = {
        Bucket: calls.bucket,
        Prefix: prefix,
        MaxKeys: Math.min(Math.max(limit, 1), maxPage),
        ...(after === undefined || after === '' ? {} : { StartAfter: after }),
      };
      const found = await calls.call({ what: `list ${prefix}` }, (client, sdk, abortSignal) =>
        client.send(new sdk.ListObjectsV2Command(input), { abortSignal }),
      );
      const keys = (found.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
      return { keys, next: found.IsTruncated === true ? keys.at(-1) : undefined };
    },

    async remove(key) {
      checkKey(key);
      await removeObject(calls, key);
    },
  };
}

/** Services without object lock say so in several ways. */
async function offersLock(calls: S3Calls): Promise<boolean> {
  try {
    const { ObjectLockConfiguration } = await calls.call(
      { what: 'say whether it locks objects' },
      (client, sdk, abortSignal) =>
        client.send(new sdk.GetObjectLockConfigurationCommand({ Bucket: calls.bucket }), { abortSignal }),
    );
    return ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
  } catch (error) {
    const isNone = nameOf(error) !== 'NoSuchBucket' && [400, 404, 405, 501].includes(statusOf(error) ?? 0);
    if (error instanceof Failure && isNone) return false;
    throw error;
  }
}
