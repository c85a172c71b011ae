import type * as S3 from '@aws-sdk/client-s3';
import { Failure } from '#shared/domain/failure.ts';
import type { S3Calls } from './s3-client.ts';
import { nameOf, statusOf } from './s3-errors.ts';

/**
 * Removes an object with all its versions: in a bucket that keeps them (one with object lock always does) a plain
 * deletion only hides it.
 */
export async function removeObject(calls: S3Calls, key: string): Promise<void> {
  const versions = await versionsOf(calls, key);
  // the newest last: what an interruption leaves is still seen, and removed by the next try
  for (const version of versions?.toReversed() ?? [undefined]) await remove(calls, key, version);
}

async function remove(calls: S3Calls, key: string, version: string | undefined): Promise<void> {
  const input = { Bucket: calls.bucket, Key: key, ...(version === undefined ? {} : { VersionId: version }) };
  try {
    await calls.call({ what: `remove ${key}` }, (client, sdk, abortSignal) =>
      client.send(new sdk.DeleteObjectCommand(input), { abortSignal }),
    );
  } catch (error) {
    if (statusOf(error) === 404 && error instanceof Failure && (error.cause as Error).name !== 'NoSuchBucket') return;
    if (!isDenied(error)) throw error;
    throw new Failure(
      'not-allowed',
      `The object ${key} is not removed: it is locked, or these credentials may not delete.`,
      {
        cause: error,
      },
    );
  }
}

/** Newest first; undefined: the service has no versions. */
async function versionsOf(calls: S3Calls, key: string): Promise<string[] | undefined> {
  const versions: string[] = [];
  let from: { KeyMarker?: string; VersionIdMarker?: string } | undefined = {};
  while (from !== undefined) {
    const input: S3.ListObjectVersionsCommandInput = { Bucket: calls.bucket, Prefix: key, ...from };
    const page: S3.ListObjectVersionsCommandOutput | undefined = await calls
      .call({ what: `list the versions of ${key}` }, (client, sdk, abortSignal) =>
        client.send(new sdk.ListObjectVersionsCommand(input), { abortSignal }),
      )
      .catch((error: unknown) => {
        if ([400, 405, 501].includes(statusOf(error) ?? 0)) return undefined;
        if (!isDenied(error)) throw error;
        throw new Failure('not-allowed', `The object ${key} is not removed: these credentials may not list versions.`, {
          cause: error,
        });
      });
    if (page === undefined) return undefined;
    const found = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].filter((one) => one.Key === key);
    const newestFirst = found.toSorted((a, b) => (b.LastModified?.getTime() ?? 0) - (a.LastModified?.getTime() ?? 0));
    versions.push(...newestFirst.flatMap(({ VersionId }) => (VersionId === undefined ? [] : [VersionId])));
    const isOver = page.IsTruncated !== true || (page.NextKeyMarker ?? '') > key;
    from = isOver
      ? undefined
      : {
          ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
          ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
        };
  }
  return versions;
}

function isDenied(error: unknown): boolean {
  return statusOf(error) === 403 && nameOf(error) === 'AccessDenied';
}
