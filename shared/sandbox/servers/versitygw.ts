import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { ensureGoPrograms, findGo, type GoPrograms } from '../go/go-programs.ts';
import type { ProcessGroup } from '../processes.ts';
import { generatePassword } from './password.ts';
import { startServer } from './start-server.ts';

const versitygw: GoPrograms = {
  module: join(import.meta.dirname, '../go/versitygw'),
  versionOf: 'github.com/versity/versitygw',
  packages: ['github.com/versity/versitygw/cmd/versitygw'],
  cachedIn: 'versitygw',
};

export type S3Credentials = { accessKeyId: string; secretAccessKey: string };

export type S3Server = {
  /** `http://127.0.0.1:PORT` */
  endpoint: string;
  host: '127.0.0.1';
  port: number;
  region: string;
  /** The first bucket. */
  bucket: string;
  /** May write, read and list in every bucket, and not delete. */
  writer: S3Credentials;
  /** May list and delete in every bucket, and neither read nor write. */
  remover: S3Credentials;
  /** Where the objects of a bucket lie: a file each, by its key. */
  folderOf(bucket: string): string;
  /** Another empty bucket. With `lock` it has versions and object lock. */
  newBucket(options?: { lock?: boolean }): Promise<string>;
  stop(): Promise<void>;
  restart(options?: { signal?: NodeJS.Signals }): Promise<void>;
};

/** Why there can be no S3 server here, or undefined. */
export async function versitygwObstacle(): Promise<string | undefined> {
  if ((await findGo()) !== undefined) return undefined;
  return 'the Go toolchain is not on PATH, so the S3 server (versitygw) cannot be built';
}

/** The program, built from the Go module proxy into the cache folder once per version; two minutes on two cores. */
export async function ensureVersitygw(options: { say?: (line: string) => void } = {}): Promise<string> {
  const { folder } = await ensureGoPrograms(versitygw, options);
  return join(folder, 'versitygw');
}

/**
 * Starts an S3 server on a free port of 127.0.0.1 that keeps objects as files in `folder`, which is made and needs a file
 * system with extended attributes. Its credentials are made anew at each start of this function.
 */
export async function startVersitygw(options: { processes: ProcessGroup; folder: string }): Promise<S3Server> {
  const { processes, folder } = options;
  const program = await ensureVersitygw();
  const region = 'us-east-1';
  const root = newCredentials('root');
  const writer = newCredentials('writer');
  const remover = newCredentials('remover');
  const places = {
    objects: join(folder, 'objects'),
    versions: join(folder, 'versions'),
    accounts: join(folder, 'iam'),
  };
  for (const place of Object.values(places)) await mkdir(place, { recursive: true, mode: 0o700 });
  await writeFile(join(places.accounts, 'users.json'), accountsFile([writer, remover]), { mode: 0o600 });

  const server = await startServer({
    processes,
    specFor: async (port) => ({
      name: 'versitygw',
      command: program,
      args: [
        ...['--port', `127.0.0.1:${port}`, '--region', region, '--iam-dir', places.accounts],
        ...['--health', '/health', '--keep-alive', '--quiet'],
        ...['posix', '--versioning-dir', places.versions, places.objects],
      ],
      env: { PATH: '/usr/bin:/bin', ROOT_ACCESS_KEY: root.accessKeyId, ROOT_SECRET_KEY: root.secretAccessKey },
      cwd: folder,
      logFile: join(folder, 'log'),
    }),
    isReady: askHealth,
  });
  const endpoint = `http://127.0.0.1:${server.port}`;
  const client = new S3Client({ endpoint, region, credentials: root, forcePathStyle: true });
  let buckets = 0;

  async function newBucket({ lock = false }: { lock?: boolean } = {}): Promise<string> {
    buckets += 1;
    const Bucket = `backups-${buckets}`;
    await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: lock }));
    const Policy = JSON.stringify(policyOf(Bucket, { writer: writer.accessKeyId, remover: remover.accessKeyId }));
    await client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    return Bucket;
  }

  return {
    endpoint,
    host: '127.0.0.1',
    port: server.port,
    region,
    bucket: await newBucket(),
    writer,
    remover,
    folderOf: (bucket) => join(places.objects, bucket),
    newBucket,
    async stop() {
      client.destroy();
      await server.stop();
    },
    restart: server.restart,
  };
}

const newCredentials = (name: string): S3Credentials => ({ accessKeyId: name, secretAccessKey: generatePassword() });

function accountsFile(accounts: readonly S3Credentials[]): string {
  const entries = accounts.map(({ accessKeyId, secretAccessKey }, index) => [
    accessKeyId,
    { access: accessKeyId, secret: secretAccessKey, role: 'user', userID: 1_000 + index, groupID: 1_000 + index },
  ]);
  return JSON.stringify({ accessAccounts: Object.fromEntries(entries) });
}

/** The rights that the README asks of a bucket for backups: the writer cannot delete, the remover can do little else. */
function policyOf(bucket: string, names: { writer: string; remover: string }): object {
  const objects = `arn:aws:s3:::${bucket}/*`;
  const whole = `arn:aws:s3:::${bucket}`;
  const allow = (name: string, actions: readonly string[], resource: string) => ({
    Effect: 'Allow',
    Principal: { AWS: [name] },
    Action: actions.map((action) => `s3:${action}`),
    Resource: resource,
  });
  const looks = ['ListBucket', 'GetBucketObjectLockConfiguration'];
  return {
    Version: '2012-10-17',
    Statement: [
      allow(
        names.writer,
        ['PutObject', 'GetObject', 'AbortMultipartUpload', 'PutObjectRetention', 'GetObjectRetention'],
        objects,
      ),
      allow(names.writer, looks, whole),
      allow(names.remover, ['DeleteObject', 'DeleteObjectVersion', 'GetObjectRetention'], objects),
      allow(names.remover, [...looks, 'ListBucketVersions'], whole),
    ],
  };
}

function askHealth(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/health', timeout: 2_000 }, (answer) => {
      answer.resume();
      if (answer.statusCode === 200) resolve();
      else reject(new Error(`versitygw answers ${answer.statusCode}`));
    });
    asked.once('timeout', () => asked.destroy(new Error('versitygw does not answer')));
    asked.once('error', reject);
    asked.end();
  });
}
