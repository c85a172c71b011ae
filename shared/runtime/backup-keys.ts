import { readFileSync, statSync } from 'node:fs';
import {
  type KeyRing,
  type KeyWrapper,
  parseKeyRing,
  ringKeyWrapper,
  ringSigner,
} from '#shared/domain/backup/key-ring.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { Config } from './config.ts';
import { knownSecrets } from './known-secrets.ts';
import type { backups } from './rows.ts';

/** What wraps the keys of backups and signs their manifests. */
export type BackupKeyRing = {
  wrapper: KeyWrapper;
  signer: Signer;
  /** Its keys' ids: the current one, and all. Ids are no secrets. */
  ids(): { current: string; all: string[] };
};

/**
 * Wraps and signs by the key ring in the file that BACKUP_KEYS_FILE names. It is read at the first use and again when it
 * changed, so that a rotated Secret needs no restart; a file that is wrong then makes every use fail until it is mended.
 */
export function openBackupKeys(config: Pick<Config<typeof backups>, 'backupKeysFile'>): BackupKeyRing {
  let known: { version: string; ring: KeyRing } | undefined;
  const ring = () => {
    const path = config.backupKeysFile;
    if (path === undefined) {
      throw new Failure('misconfigured', 'BACKUP_KEYS_FILE is not set: write the path of the file with the key ring.');
    }
    const version = reading(path, () => {
      const { mtimeMs, ino, size } = statSync(path);
      return `${mtimeMs} ${ino} ${size}`;
    });
    if (known?.version !== version) known = { version, ring: readRing(path) };
    return known.ring;
  };
  return {
    wrapper: ringKeyWrapper(ring),
    signer: ringSigner(ring),
    ids: () => ({ current: ring().current, all: [...ring().keys.keys()].sort() }),
  };
}

function readRing(path: string): KeyRing {
  const ring = parseKeyRing(reading(path, () => readFileSync(path, 'utf8')));
  for (const key of ring.keys.values()) knownSecrets.add(key.toString('base64'));
  return ring;
}

function reading<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new Failure('misconfigured', `BACKUP_KEYS_FILE names ${path}, which cannot be read (${code}).`, { cause });
  }
}
