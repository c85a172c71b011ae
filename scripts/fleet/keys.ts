import type { Database } from '#shared/adapters/postgres/database.ts';
import { type KeyUse, keyUses, rewrapFilesKeys } from '#shared/adapters/postgres/key-rotation.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import type { BackupKeyRing } from '#shared/runtime/backup-keys.ts';
import type { Done } from './screen.ts';
import { type StoredUse, storedKeyUses } from './stored-keys.ts';

type RingKey = KeyUse & StoredUse & { isCurrent: boolean; isInRing: boolean };

/**
 * What each key of the ring is still needed for, and whether the ring has every key that is. `store` is undefined where no
 * place for backups is set: then nothing is said of what lies there.
 * @throws Failure `misconfigured` when something cannot be opened for want of a key.
 */
export async function keyStatus(
  database: Database,
  ring: BackupKeyRing,
  store: Pick<ObjectStore, 'list' | 'get'> | undefined,
): Promise<Done> {
  const { current, all } = ring.ids();
  const recorded = await keyUses(database);
  const { uses: stored, unread } = store === undefined ? { uses: [], unread: [] } : await storedKeyUses(store);
  const ids = new Set([...all, ...recorded.map(({ keyId }) => keyId), ...stored.map(({ keyId }) => keyId)]);
  const keys = [...ids].sort().map((keyId): RingKey => {
    const inRecords = recorded.find((use) => use.keyId === keyId);
    const inStore = stored.find((use) => use.keyId === keyId);
    const ofRing = { isCurrent: keyId === current, isInRing: all.includes(keyId) };
    return { ...nothing, ...inRecords, ...inStore, keyId, ...ofRing };
  });
  const lost = keys.filter((key) => !key.isInRing && opens(key));
  if (lost.length > 0) {
    const text = `The key ring has no key ${lost.map(({ keyId }) => keyId).join(', ')}, which ${listOf(lost)} cannot be opened without. Put it back into the file that BACKUP_KEYS_FILE names.`;
    throw new Failure('misconfigured', text);
  }
  return {
    json: { keys: keys.map(({ isInRing: _all, ...key }) => key), storeLookedAt: store !== undefined, unread },
    lines: [
      ...keys.map((key) => lineOf(key, { isWhole: store !== undefined && unread.length === 0 })),
      ...(store === undefined ? ['Uploads and backups of the platform were not looked at: set BACKUP_STORE.'] : []),
      ...unread.map((key) => `${key} cannot be read: what it needs is not counted`),
    ],
  };
}

const nothing = {
  ...{ instances: 0, backups: 0, exports: 0, operations: 0, certificates: 0 },
  ...{ uploads: 0, platformBackups: 0 },
};

/** What passes by itself. */
const passing = {
  backups: 'backup',
  exports: 'export',
  uploads: 'upload',
  platformBackups: 'platform backup',
} as const;

const counted = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;

const passingOf = (key: RingKey): string[] =>
  Object.entries(passing).flatMap(([use, word]) => {
    const count = key[use as keyof typeof passing];
    return count > 0 ? [counted(count, word)] : [];
  });

/** Without it something cannot be opened; what it has only signed could be, and not be believed. */
const opens = (key: RingKey) => key.instances + key.operations > 0 || passingOf(key).length > 0;

function listOf(keys: readonly RingKey[]): string {
  const all = keys.flatMap((key) => [
    ...(key.instances > 0 ? [`files of ${counted(key.instances, 'instance')}`] : []),
    ...(key.operations > 0 ? [counted(key.operations, 'operation')] : []),
    ...passingOf(key),
  ]);
  return all.join(', ');
}

function lineOf(key: RingKey, { isWhole }: { isWhole: boolean }): string {
  const { keyId, isCurrent, isInRing, instances, operations, certificates } = key;
  const proving = certificates > 0 ? [`${counted(certificates, 'deletion certificate')} signed with it`] : [];
  if (!isInRing) return `${keyId}  not in the ring: ${proving.join()} cannot be checked`;
  if (isCurrent) {
    const more = passingOf({ ...key, backups: 0 });
    const running = operations > 0 ? [counted(operations, 'operation')] : [];
    const own = [`files of ${counted(instances, 'instance')}`, counted(key.backups, 'backup')];
    return `${keyId}  current: ${[...own, ...more, ...running, ...proving].join(', ')}`;
  }
  const needs = [
    ...(instances > 0 ? [`files of ${counted(instances, 'instance')}: run "keys rewrap"`] : []),
    ...(operations > 0 ? [`${counted(operations, 'operation')}, until they end; cancel or retry what has failed`] : []),
    ...(passingOf(key).length > 0 ? [`${passingOf(key).join(', ')}, until retention removes what it opens`] : []),
  ];
  if (needs.length > 0) return `${keyId}  needed for ${[...needs, ...proving].join('; ')}`;
  if (proving.length > 0) return `${keyId}  opens nothing any more; ${proving.join()} cannot be checked without it`;
  if (!isWhole) return `${keyId}  not needed for anything that was looked at`;
  return `${keyId}  not needed any more: it can be taken out of the ring`;
}

/** Wraps what older keys of the ring have wrapped by its current one. */
export async function rewrapKeys(database: Database, ring: BackupKeyRing, say: (line: string) => void): Promise<Done> {
  const { current } = ring.ids();
  const rewrapped = await rewrapFilesKeys(database, ring.wrapper, (progress) =>
    say(`${counted(progress.looked, 'instance')} looked at, ${progress.rewrapped} rewrapped`),
  );
  return {
    json: { current, rewrapped },
    lines: [`The files keys of ${counted(rewrapped, 'instance')} are wrapped by ${current} now.`],
  };
}
