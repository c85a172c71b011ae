import { Failure, type FailureCode } from '#shared/domain/failure.ts';

/** The names that S3 services give their refusals. */
const names: Readonly<Record<string, [FailureCode, string]>> = {
  InvalidAccessKeyId: ['misconfigured', 'it does not know the access key: mend the credentials'],
  SignatureDoesNotMatch: ['misconfigured', 'the secret of the access key is wrong: mend the credentials'],
  AccessDenied: ['misconfigured', 'the credentials do not give the right: change the policy of the bucket'],
  AllAccessDisabled: ['misconfigured', 'access to the bucket is disabled'],
  AccountProblem: ['misconfigured', 'there is a problem with the account'],
  NoSuchBucket: ['misconfigured', 'there is no such bucket: make it, or mend BACKUP_STORE'],
  InvalidBucketName: ['misconfigured', 'it is no name of a bucket: mend BACKUP_STORE'],
  PermanentRedirect: ['misconfigured', 'the bucket is in another region: mend BACKUP_S3_REGION or the endpoint'],
  AuthorizationHeaderMalformed: ['misconfigured', 'the region is another: mend BACKUP_S3_REGION'],
  RequestTimeTooSkewed: ['misconfigured', "this machine's clock is wrong"],
  NotImplemented: ['misconfigured', 'the service does not offer this'],
  QuotaExceeded: ['no-capacity', 'its quota is used up'],
  XMinioStorageFull: ['no-capacity', 'it is full'],
  XMinioAdminBucketQuotaExceeded: ['no-capacity', 'its quota is used up'],
  NoSpaceLeftOnDevice: ['no-capacity', 'it is full'],
  StorageFull: ['no-capacity', 'it is full'],
  InsufficientStorage: ['no-capacity', 'it is full'],
  BadDigest: ['unavailable', 'the bytes were altered on their way'],
  XAmzContentSHA256Mismatch: ['unavailable', 'the bytes were altered on their way'],
  IncompleteBody: ['unavailable', 'the bytes did not all arrive'],
  RequestTimeout: ['unavailable', 'the bytes came too slowly'],
  InvalidRange: ['damaged', 'it has fewer bytes than it says'],
  NoSuchUpload: ['unavailable', 'the upload was ended by somebody else, or was finished before'],
  EntityTooLarge: ['invalid-request', 'the object is larger than the service takes'],
};

const statuses: Readonly<Record<number, [FailureCode, string]>> = {
  301: names['PermanentRedirect'] ?? ['misconfigured', ''],
  401: ['misconfigured', 'it refuses the credentials'],
  // the answer to a HEAD has no body that says more
  403: ['misconfigured', 'it refuses the credentials, or they do not give the right'],
  404: ['misconfigured', 'there is no such bucket, or nothing of S3 at this address'],
  507: ['no-capacity', 'it is full'],
};

/** The failure that an error of the SDK is. Neither the service's own words nor what was sent are in its text. */
export function s3Failure(
  error: unknown,
  { what, bucket, isOutOfTime }: { what: string; bucket: string; isOutOfTime: boolean },
): Failure {
  const failed = `The bucket ${bucket} failed to ${what}`;
  if (isOutOfTime) return new Failure('unavailable', `${failed}: it did not answer in time.`, { cause: error });
  const name = nameOf(error);
  const status = statusOf(error);
  const known = names[name] ?? statuses[status ?? 0];
  const shown = [name, ...(status === undefined ? [] : [String(status)])].filter((one) => one !== '').join(', ');
  if (known !== undefined) return new Failure(known[0], `${failed} (${shown}): ${known[1]}.`, { cause: error });
  // 4xx that is not ours to mend by waiting; everything else may go away
  const isRefused = status !== undefined && status >= 400 && status < 500 && ![408, 409, 412, 429].includes(status);
  return new Failure(isRefused ? 'misconfigured' : 'unavailable', `${failed} (${shown}).`, { cause: error });
}

/** HTTP status of what the service answered, if it did. */
export function statusOf(error: unknown): number | undefined {
  const cause = error instanceof Failure ? error.cause : error;
  const metadata = (cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata;
  return metadata?.httpStatusCode;
}

/** The service's name of the error, or the system's code. */
export function nameOf(error: unknown): string {
  const cause = error instanceof Failure ? error.cause : error;
  const { code, name } = (cause ?? {}) as { code?: unknown; name?: unknown };
  if (typeof code === 'string') return code;
  return typeof name === 'string' ? name : '';
}
