import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { openS3Store } from '#shared/adapters/objectstore/s3.ts';
import type { StoreAccess } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import type { backupRemover, backups } from './backup-rows.ts';
import type { Config } from './config.ts';
import { knownSecrets } from './known-secrets.ts';

type Place = Pick<Config<typeof backups>, 'backupStore' | 'backupS3Endpoint' | 'backupS3Region'>;
type Bucket = { kind: 's3'; endpoint: string; region: string; bucket: string };

/** What a Job is given to reach the store: the writer's credentials, as they are now. */
export async function backupStoreAccess(config: Config<typeof backups>): Promise<StoreAccess> {
  const place = placeOf(config);
  if (place.kind === 'directory') return place;
  return { ...place, ...(await writersCredentials(config)()) };
}

/** The store for who makes and reads backups. Credentials are read again at most every few minutes, so that they may be rotated. */
export function openBackupStore(config: Config<typeof backups>): ObjectStore {
  return open(placeOf(config), writersCredentials(config));
}

/** The store for who deletes backups; it may list and delete, and perhaps nothing else. */
export function openBackupRemover(config: Config<typeof backupRemover>): ObjectStore {
  const file = { variable: 'BACKUP_REMOVER_CREDENTIALS_FILE', path: config.backupRemoverCredentialsFile };
  return open(placeOf(config), () => readCredentials(file));
}

function writersCredentials(config: Config<typeof backups>): () => Promise<S3Credentials> {
  const file = { variable: 'BACKUP_S3_CREDENTIALS_FILE', path: config.backupS3CredentialsFile };
  return () => readCredentials(file);
}

function open(
  place: Bucket | { kind: 'directory'; folder: string },
  credentials: () => Promise<S3Credentials>,
): ObjectStore {
  return place.kind === 'directory'
    ? openDirectoryStore(place.folder, { isShared: true })
    : openS3Store({ ...place, credentials });
}

function placeOf({
  backupStore,
  backupS3Endpoint,
  backupS3Region,
}: Place): Bucket | { kind: 'directory'; folder: string } {
  if (backupStore === undefined) {
    throw new Failure('misconfigured', 'BACKUP_STORE is not set: write the path of a folder, or s3://bucket.');
  }
  if (!backupStore.startsWith('s3://')) return { kind: 'directory', folder: backupStore };
  const endpoint = backupS3Endpoint ?? `https://s3.${backupS3Region}.amazonaws.com`;
  return { kind: 's3', endpoint, region: backupS3Region, bucket: backupStore.slice('s3://'.length) };
}

const s3Credentials = v.object({
  accessKeyId: v.pipe(v.string(), v.minLength(1)),
  secretAccessKey: v.pipe(v.string(), v.minLength(1)),
});
type S3Credentials = v.InferOutput<typeof s3Credentials>;

async function readCredentials({
  variable,
  path,
}: {
  variable: string;
  path: string | undefined;
}): Promise<S3Credentials> {
  const wanted = '{"accessKeyId":"...","secretAccessKey":"..."}';
  if (path === undefined)
    throw new Failure('misconfigured', `${variable} is not set: write the path of a file with ${wanted}.`);
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new Failure('misconfigured', `${variable} names ${path}, which cannot be read (${cause.code}).`, { cause });
  });
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), s3Credentials), text);
  if (!parsed.success) throw new Failure('misconfigured', `${variable} names ${path}, which does not hold ${wanted}.`);
  knownSecrets.add(parsed.output.secretAccessKey);
  return parsed.output;
}
