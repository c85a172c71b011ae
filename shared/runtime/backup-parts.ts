import { backupRecords } from '#shared/adapters/postgres/backup-records.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { findDatabaseServer } from '#shared/adapters/postgres/database-servers.ts';
import { loadRecords } from '#shared/adapters/postgres/load-records.ts';
import { restoreRecords } from '#shared/adapters/postgres/restore-records.ts';
import { verificationRecords } from '#shared/adapters/postgres/verification-records.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { openBackupKeys } from './backup-keys.ts';
import type { backups } from './backup-rows.ts';
import { backupStoreAccess, openBackupStore } from './backup-store.ts';
import type { Config } from './config.ts';

/**
 * What backups and verifications are made with, besides the instances' own ports. What is not configured is told when it
 * is needed: the operation that needs it fails and says what to set.
 */
export function backupParts(database: Database, config: Config<typeof backups>) {
  return {
    records: backupRecords(database),
    verifications: verificationRecords(database),
    loads: loadRecords(database),
    restores: restoreRecords(database),
    servers: { find: async (id: string) => (await findDatabaseServer(database, id))?.server },
    store: openedLate(() => openBackupStore(config)),
    storeAccess: () => backupStoreAccess(config),
    ...openBackupKeys(config),
    workerImage: () => workerImageOf(config),
  };
}

/** @throws Failure `misconfigured` when nobody has said which it is. */
export function workerImageOf(config: Pick<Config<typeof backups>, 'workerImage'>): string {
  if (config.workerImage !== undefined) return config.workerImage;
  throw new Failure('misconfigured', 'WORKER_IMAGE is not set: write the reference of the worker image.');
}

function openedLate(open: () => ObjectStore): ObjectStore {
  let opened: ObjectStore | undefined;
  const store = () => {
    opened ??= open();
    return opened;
  };
  return {
    put: async (...args) => await store().put(...args),
    get: async (...args) => await store().get(...args),
    write: async (...args) => await store().write(...args),
    read: async (...args) => await store().read(...args),
    head: async (...args) => await store().head(...args),
    list: async (...args) => await store().list(...args),
    remove: async (...args) => await store().remove(...args),
  };
}
