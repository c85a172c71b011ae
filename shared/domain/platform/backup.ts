import * as v from 'valibot';
import type { KeyContext } from '../backup/key-ring.ts';
import { openSealed, type Signer, seal } from '../backup/manifest-seal.ts';
import { Failure } from '../failure.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const shortText = v.pipe(v.string(), v.maxLength(200));
const time = v.pipe(v.string(), v.isoTimestamp());
const idPattern = /^\d{8}T\d{6}Z-[0-9a-f]{8}$/;

/** What is in a backup of the platform's own database. It is signed with a key of the key ring. */
export const platformManifestSchema = v.strictObject({
  version: v.literal(1),
  id: v.pipe(v.string(), v.regex(idPattern)),
  startedAt: time,
  /** Everything in it is as it was then. */
  snapshotAt: time,
  finishedAt: time,
  /** Names of the migrations that had been applied, in their order: a restore needs a checkout that knows them all. */
  migrations: v.array(shortText),
  postgres: v.strictObject({ major: count, server: shortText, client: shortText }),
  /** Every table of the schema `public`, sorted. */
  tables: v.array(v.strictObject({ name: shortText, rows: count })),
  /**
   * Ids of the ring's keys that something in the records was wrapped with. Without one of them, what it wrapped cannot be
   * opened any more: the ring itself is in no backup.
   */
  ringKeys: v.array(shortText),
  dump: v.strictObject({
    key: v.pipe(v.string(), v.maxLength(512)),
    /** `pg_dump` in its custom format without its own compression, through zstd, encrypted. */
    format: v.literal('pg_dump-custom+zstd'),
    storedBytes: count,
    /** Of the object as it is stored (hex). */
    sha256,
    compressedBytes: count,
    databaseBytes: count,
  }),
  /** The dump's own key, wrapped by the ring. */
  wrappedKey: v.pipe(v.string(), v.maxLength(200)),
});
export type PlatformManifest = v.InferOutput<typeof platformManifestSchema>;

/** Below it lie all backups of the platform itself. */
export const platformPrefix = 'platform/';

/** An id that sorts by the time it names; `random` has eight hexadecimal digits. */
export function platformBackupId(at: Date, random: string): string {
  return `${at.toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}Z-${random}`;
}

/** @throws Failure `invalid-request` for what is no id of a platform backup. */
export function checkPlatformBackupId(id: string): string {
  if (idPattern.test(id)) return id;
  throw new Failure('invalid-request', 'A backup of the platform is named like 20261122T060000Z-0a1b2c3d.');
}

/** When the backup of this id began, to the second. */
export function timeOfPlatformBackup(id: string): Date {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(checkPlatformBackupId(id)) ?? [];
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

export function platformKeys(id: string): { dump: string; manifest: string } {
  const folder = `${platformPrefix}${checkPlatformBackupId(id)}`;
  return { dump: `${folder}/dump`, manifest: `${folder}/manifest` };
}

/** What the key of a platform backup is wrapped for. */
export function platformKeyContext(id: string): KeyContext {
  return { purpose: 'platform', instanceId: 'platform', backupId: id };
}

/** A backup of the platform as the keys in the store tell of it: it counts when its manifest is there. */
export type StoredPlatformBackup = { id: string; isWhole: boolean; keys: readonly string[] };

/** Groups the keys below `platformPrefix`, oldest backup first. Keys of another form are nobody's, and left out. */
export function platformBackupsIn(keys: readonly string[]): StoredPlatformBackup[] {
  const byId = new Map<string, string[]>();
  for (const key of keys) {
    const [, id, name] = /^platform\/([^/]+)\/(dump|manifest)$/.exec(key) ?? [];
    if (id === undefined || name === undefined || !idPattern.test(id)) continue;
    byId.set(id, [...(byId.get(id) ?? []), key]);
  }
  return [...byId]
    .map(([id, own]) => ({ id, keys: own, isWhole: own.includes(platformKeys(id).manifest) }))
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** Clocks of two machines may differ so much; what names a later time was made by no clock of ours. */
const skewMs = 10 * 60_000;

/** When the newest whole one of them began; undefined when there is none. One that names a time to come is not counted. */
export function newestMomentOf(backups: readonly StoredPlatformBackup[], now: Date): Date | undefined {
  const limit = now.getTime() + skewMs;
  return backups
    .filter(({ isWhole }) => isWhole)
    .map(({ id }) => timeOfPlatformBackup(id))
    .findLast((at) => at.getTime() <= limit);
}

export function signPlatformManifest(manifest: PlatformManifest, signer: Pick<Signer, 'sign'>): Buffer {
  return seal(manifest, 'platform-manifest', signer);
}

/** @throws Failure `damaged` when it is not the manifest of that backup, signed with a key of the ring. */
export function openPlatformManifest(
  bytes: Uint8Array,
  { id, signer }: { id: string; signer: Pick<Signer, 'isSigned'> },
): PlatformManifest {
  const what = `The manifest of platform backup ${id}`;
  const manifest = openSealed(bytes, platformManifestSchema, { purpose: 'platform-manifest', what, signer });
  if (manifest.id !== id || manifest.dump.key !== platformKeys(id).dump) {
    throw new Failure('damaged', `${what} is that of another backup (${manifest.id}). It is not used.`);
  }
  return manifest;
}
