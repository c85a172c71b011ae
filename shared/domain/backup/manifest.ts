import { createHmac } from 'node:crypto';
import * as v from 'valibot';
import { hmacSigner, openSealed, type Signer, seal } from './manifest-seal.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,80}$/));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const key = v.pipe(v.string(), v.maxLength(512));
const shortText = v.pipe(v.string(), v.maxLength(500));
const time = v.pipe(v.string(), v.isoTimestamp());

/**
 * What is in a database, as one snapshot shows it. A backup takes it from the live database and a verification from the
 * restored one, by the same statements: they are equal or something is lost.
 */
export const databaseContentsSchema = v.strictObject({
  /** Every table that holds rows, as `schema.table` quoted where needed, sorted; without those that extensions own. */
  tables: v.array(v.strictObject({ name: v.string(), rows: count })),
  /** Of the core tables that exist: two sums over the md5 of each row's text; the order of rows does not matter. */
  hashes: v.array(v.strictObject({ table: v.string(), hash: shortText })),
  /** `inFiles`: those whose content is in the filestore; `hash` is over their ids, files, checksums and sizes. */
  attachments: v.strictObject({ count, inFiles: count, files: count, hash: shortText }),
  /** `hash` is over the first 64 MiB of each. */
  largeObjects: v.strictObject({ count, hash: shortText }),
  /** How many there are, without those of extensions. */
  schema: v.strictObject({
    indexes: count,
    constraints: count,
    sequences: count,
    views: count,
    functions: count,
    triggers: count,
  }),
  extensions: v.array(v.strictObject({ name: v.string() })),
});
export type DatabaseContents = v.InferOutput<typeof databaseContentsSchema>;

/** An object of the filestore: its name (the last segment of its key), the bytes it has in the store, their sha256 (hex). */
export const storedFileSchema = v.strictTuple([sha256, count, sha256]);
export type StoredFile = v.InferOutput<typeof storedFileSchema>;

/**
 * A file that an attachment names and the instance had not: `missing`, or `damaged`, its content another than that of its
 * name. The backup cannot have it either, and says so. `name` as of a stored file.
 */
export const lostFileSchema = v.strictObject({
  name: sha256,
  attachment: count,
  why: v.picklist(['missing', 'damaged']),
});
export type LostFile = v.InferOutput<typeof lostFileSchema>;

const resultEntries = {
  version: v.literal(1),
  instanceId: id,
  customerId: v.pipe(v.string(), v.maxLength(200)),
  backupId: id,
  operationId: id,
  /** The try that made it. */
  attempt: v.pipe(count, v.minValue(1)),
  kind: id,
  imageId: shortText,
  addonsDigest: shortText,
  /** The backup that the instance's newest one was when this began. */
  previous: v.nullable(id),
  /** Of the module `base`, such as `19.0.1.3`; null where there is no Odoo in the database. */
  odooVersion: v.nullable(shortText),
  /** Those installed, sorted by name. */
  modules: v.array(v.strictObject({ name: v.string(), version: shortText })),
  /** `server` and `client` as they say themselves, such as `15.18`. */
  postgres: v.strictObject({ major: count, server: shortText, client: shortText }),
  startedAt: time,
  /** Everything in the backup is as it was then, but for files, which never change under their names. */
  snapshotAt: time,
  finishedAt: time,
  contents: databaseContentsSchema,
  dump: v.strictObject({
    key,
    /** `pg_dump` in its custom format without its own compression, through zstd, encrypted. */
    format: v.literal('pg_dump-custom+zstd'),
    /** In the store. */
    storedBytes: count,
    /** Of the object as it is stored (hex). */
    sha256,
    /** Before encryption. */
    compressedBytes: count,
    /** `pg_database_size` of the live database. */
    databaseBytes: count,
  }),
  files: v.strictObject({
    count,
    /** Their contents, before encryption. */
    bytes: count,
    storedBytes: count,
    /** What this backup brought: the others were in the store. */
    uploaded: v.strictObject({ count, bytes: count }),
    /**
     * sha256 over the sha1 of all contents, sorted, one per line. The sha1 themselves are in the dump, which is encrypted:
     * here they would tell whoever reads the store which known files a customer has.
     */
    contents: sha256,
    /** Sorted by name. */
    objects: v.array(storedFileSchema),
    /** Sorted by name; left out where there is none. */
    lost: v.optional(v.array(lostFileSchema)),
  }),
};

/** What the worker found and wrote, sealed with the key of its order (`purpose` backup-result). */
export const backupResultSchema = v.strictObject(resultEntries);
export type BackupResult = v.InferOutput<typeof backupResultSchema>;

/** The worker's result with the keys to open it, wrapped; signed with a key of the key ring (`purpose` backup-manifest). */
export const backupManifestSchema = v.strictObject({
  ...resultEntries,
  wrappedKeys: v.strictObject({ dump: v.string(), files: v.string() }),
});
export type BackupManifest = v.InferOutput<typeof backupManifestSchema>;

/** What a verification found, sealed with the key of its order (`purpose` verify-result). */
export const verifyResultSchema = v.strictObject({
  version: v.literal(1),
  instanceId: id,
  backupId: id,
  operationId: id,
  attempt: v.pipe(count, v.minValue(1)),
  manifestSha256: sha256,
  startedAt: time,
  finishedAt: time,
  /** The backup is proven when there is none. Sentences for people, at most 50; `more` were left out. */
  differences: v.array(v.pipe(v.string(), v.maxLength(1_000))),
  more: count,
  /** What was looked at: nothing was, where the dump itself is damaged. */
  tables: count,
  rows: count,
  files: count,
  bytes: count,
});
export type VerifyResult = v.InferOutput<typeof verifyResultSchema>;

/** How far a Job is, for people; unsigned. It is overwritten at most every two seconds, in `<prefix>/progress`. */
export const workerProgressSchema = v.strictObject({
  /** backup: `snapshot`, `dump`, `files`, `finish`; verify: `dump`, `restore`, `compare`, `files`, `finish`. */
  phase: v.picklist(['snapshot', 'dump', 'files', 'restore', 'compare', 'finish']),
  /** Of this phase: bytes of the dump, or files. */
  done: count,
  /** Unknown while it is null. */
  total: v.nullable(count),
  unit: v.picklist(['bytes', 'files']),
  at: time,
});
export type WorkerProgress = v.InferOutput<typeof workerProgressSchema>;

/** The names of a Job's results below the prefix of its order. */
export const resultNames = { dump: 'dump', manifest: 'manifest', progress: 'progress', result: 'result' } as const;

/**
 * Name of the object that holds the content of this sha1 (hex): equal contents of an instance are stored once, and nobody
 * without its key can tell whether a file that he knows is among them.
 */
export function storedFileName(filesKey: Uint8Array, sha1: string): string {
  return createHmac('sha256', filesKey).update(`name:${sha1}`).digest('hex');
}

/** Key of an object of the filestore, by its name. */
export function storedFileKey(instanceId: string, name: string): string {
  return `files/${instanceId}/${name.slice(0, 2)}/${name}`;
}

/** The keys of all objects of the filestore that a backup needs: none of them may be removed while it is kept. */
export function fileKeysOf(manifest: Pick<BackupResult, 'instanceId' | 'files'>): string[] {
  return manifest.files.objects.map(([name]) => storedFileKey(manifest.instanceId, name));
}

/** The final manifest's bytes. */
export function signManifest(result: BackupResult, wrappedKeys: BackupManifest['wrappedKeys'], signer: Signer): Buffer {
  return seal({ ...result, wrappedKeys }, 'backup-manifest', signer);
}

/** @throws Failure `damaged` when it is not a final manifest that was signed with a key of the ring. */
export function openManifest(bytes: Uint8Array, signer: Pick<Signer, 'isSigned'>): BackupManifest {
  return openSealed(bytes, backupManifestSchema, { purpose: 'backup-manifest', what: 'The manifest', signer });
}

/**
 * The ids of the ring's keys without which this backup cannot be restored, sorted: of the one that signed its manifest, and
 * of those that wrapped its keys, whatever wraps them elsewhere since. `bytes`: of a manifest that was opened.
 */
export function ringKeysOf(bytes: Uint8Array, { wrappedKeys }: Pick<BackupManifest, 'wrappedKeys'>): string[] {
  const { keyId } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { keyId: string };
  const wrapping = Object.values(wrappedKeys).flatMap((wrapped) => wrapped.split('.')[1] ?? []);
  return [...new Set([keyId, ...wrapping])].sort();
}

/** The order of a Job, as far as its results are signed by it. */
export type ResultOrder = { operationId: string; attempt: number; resultKey: string };

/** What a Job signs its results with. */
export function resultSigner(order: ResultOrder): Signer {
  return hmacSigner(`${order.operationId}.${order.attempt}`, Buffer.from(order.resultKey, 'base64'));
}

/** @throws Failure `damaged` when these are not the bytes that the backup Job of this order wrote. */
export function openBackupResult(bytes: Uint8Array, order: ResultOrder): BackupResult {
  const signer = resultSigner(order);
  const what = 'The result of the backup Job';
  return openSealed(bytes, backupResultSchema, { purpose: 'backup-result', what, signer });
}

/** @throws Failure `damaged` when these are not the bytes that the verification Job of this order wrote. */
export function openVerifyResult(bytes: Uint8Array, order: ResultOrder): VerifyResult {
  const signer = resultSigner(order);
  const what = 'The result of the verification Job';
  return openSealed(bytes, verifyResultSchema, { purpose: 'verify-result', what, signer });
}
