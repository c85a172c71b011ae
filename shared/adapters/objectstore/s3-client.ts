import type * as S3 from '@aws-sdk/client-s3';
import { Failure } from '#shared/domain/failure.ts';
import { s3Failure } from './s3-errors.ts';

/** What is used of the SDK, which is loaded with the first call: a built function has it in a file of its own. */
export type Sdk = Pick<
  typeof S3,
  | 'S3Client'
  | 'AbortMultipartUploadCommand'
  | 'CompleteMultipartUploadCommand'
  | 'CreateMultipartUploadCommand'
  | 'DeleteObjectCommand'
  | 'GetObjectCommand'
  | 'GetObjectLockConfigurationCommand'
  | 'HeadObjectCommand'
  | 'ListObjectsV2Command'
  | 'ListObjectVersionsCommand'
  | 'PutObjectCommand'
  | 'UploadPartCommand'
>;

export type S3Access = {
  /** `https://host`, or `http://` where the network is trusted. */
  endpoint: string;
  region: string;
  bucket: string;
  /** Asked at the first call and again every few minutes. What it throws is thrown by the call. */
  credentials: () => Promise<{ accessKeyId: string; secretAccessKey: string }>;
  limits?: Partial<S3Limits>;
};

export type S3Limits = {
  connectMs: number;
  /** A connection on which nothing moves for so long is given up. */
  idleMs: number;
  /** One call with its repetitions, on top of a second for each MiB that it carries. */
  callMs: number;
  /** Of one call: what may go away by itself is tried again, later each time. */
  attempts: number;
  /** Larger streams are uploaded in parts of this size; S3 takes no parts below 5 MiB. */
  partBytes: number;
};

const defaults: S3Limits = {
  connectMs: 3_000,
  idleMs: 5_000,
  // a step of an operation may take 20 s, and a write is two calls
  callMs: 9_000,
  attempts: 4,
  // with S3's 10,000 parts of one size: 156 GiB
  partBytes: 16 * 1024 * 1024,
};

/** For a Job: nobody waits for its calls, and one that is given up costs all that was uploaded. */
export const patientLimits = {
  connectMs: 10_000,
  idleMs: 30_000,
  callMs: 180_000,
  attempts: 10,
} satisfies Partial<S3Limits>;

const silentMs = 300_000;
const credentialsLastMs = 5 * 60_000;
const msPerByte = 1_000 / (1024 * 1024);

export type Call = {
  /** For the failure: `write a/b`. */
  what: string;
  /** Bytes it carries, or moves. */
  bytes?: number;
  /** The service may say nothing before it is done. */
  isSilent?: boolean;
};

/** How long something may take that carries so many bytes. */
export function timeFor(limits: S3Limits, bytes: number): number {
  return Math.ceil(limits.callMs + bytes * msPerByte);
}

export type S3Calls = {
  bucket: string;
  limits: S3Limits;
  /** @throws Failure, with the SDK's error as its cause; what `run` throws as a Failure is thrown as it is. */
  call<Result>(
    call: Call,
    run: (client: S3.S3Client, sdk: Sdk, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result>;
};

export function openS3Calls({ endpoint, region, bucket, credentials, limits: given }: S3Access): S3Calls {
  const limits = { ...defaults, ...given };
  type Loaded = { client: S3.S3Client; sdk: Sdk };
  /** A time in which nothing moves belongs to a client: one for ordinary calls, one for those that are silent for long. */
  const loaded: { ordinary?: Promise<Loaded>; silent?: Promise<Loaded> } = {};

  async function load(idleMs: number): Promise<Loaded> {
    const sdk: Sdk = await import('@aws-sdk/client-s3');
    const client = new sdk.S3Client({
      endpoint,
      region,
      // with an expiry the SDK asks again
      credentials: async () => ({ ...(await credentials()), expiration: new Date(Date.now() + credentialsLastMs) }),
      // AWS itself wants the bucket in the host's name
      forcePathStyle: !new URL(endpoint).hostname.endsWith('.amazonaws.com'),
      maxAttempts: limits.attempts,
      retryMode: 'standard',
      // ours are given with each write; what is read is checked by who reads it
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: limits.connectMs,
        socketTimeout: idleMs,
        httpAgent: { keepAlive: true, maxSockets: 16 },
        httpsAgent: { keepAlive: true, maxSockets: 16 },
      },
    });
    return { client, sdk };
  }

  return {
    bucket,
    limits,
    async call({ what, bytes = 0, isSilent = false }, run) {
      const kind = isSilent ? 'silent' : 'ordinary';
      loaded[kind] ??= load(isSilent ? Math.max(limits.idleMs, silentMs) : limits.idleMs);
      const { client, sdk } = await loaded[kind];
      const aborting = new AbortController();
      // ended with the call: the body of an answer may take longer
      const timer = setTimeout(() => aborting.abort(), timeFor(limits, bytes));
      try {
        return await run(client, sdk, aborting.signal);
      } catch (error) {
        if (error instanceof Failure) throw error;
        const { cause } = error as { cause?: unknown };
        if (cause instanceof Failure) throw cause; // the credentials', as the SDK hands it on
        throw s3Failure(error, { what, bucket, isOutOfTime: aborting.signal.aborted });
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
