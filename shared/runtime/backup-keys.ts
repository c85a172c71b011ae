import { type KeyWrapper, ringKeyWrapper, ringSigner } from '#shared/domain/backup/key-ring.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { backups } from './backup-rows.ts';
import type { Config } from './config.ts';
import { keyRingFile } from './key-ring-file.ts';

/** What wraps the keys of backups and signs their manifests. */
export type BackupKeyRing = {
  wrapper: KeyWrapper;
  signer: Signer;
  /** Its keys' ids: the current one, and all. Ids are no secrets. */
  ids(): { current: string; all: string[] };
};

/** Wraps and signs by the key ring in the file that BACKUP_KEYS_FILE names, which is read again when it changes. */
export function openBackupKeys(config: Pick<Config<typeof backups>, 'backupKeysFile'>): BackupKeyRing {
  const ring = keyRingFile('BACKUP_KEYS_FILE', config.backupKeysFile);
  return {
    wrapper: ringKeyWrapper(ring),
    signer: ringSigner(ring),
    ids: () => ({ current: ring().current, all: [...ring().keys.keys()].sort() }),
  };
}
