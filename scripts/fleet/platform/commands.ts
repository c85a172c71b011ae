import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { knownMigrations } from '#shared/adapters/postgres/known-migrations.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { PlatformManifest } from '#shared/domain/platform/backup.ts';
import { openBackupKeys } from '#shared/runtime/backup-keys.ts';
import { openBackupStore } from '#shared/runtime/backup-store.ts';
import { makePlatformBackup } from '#shared/worker/platform/make.ts';
import { listPlatformBackups, newestPlatformBackup } from '#shared/worker/platform/read.ts';
import { checkPlatformBackup, readRingFile } from './check.ts';
import { restorePlatform } from './restore.ts';
import { directAccess, type PlatformConfig } from './settings.ts';

/** What a command came to: `json` for programs, `lines` for people. */
export type Done = { json: unknown; lines: readonly string[] };

export type Surroundings = { signal: AbortSignal; say(line: string): void };

/** A folder for a file with a password, for as long as the work takes. */
async function inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-platform-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function told({ id, snapshotAt, dump, tables }: PlatformManifest): string {
  const rows = tables.reduce((sum, one) => sum + one.rows, 0);
  return `${id} holds ${tables.length} tables with ${rows} rows as of ${snapshotAt}, in ${dump.storedBytes} bytes`;
}

export async function backup(config: PlatformConfig, { signal, say }: Surroundings): Promise<Done> {
  const store = openBackupStore({ ...config, workerImage: undefined });
  const manifest = await inFolder((folder) =>
    makePlatformBackup(directAccess(config), { store, folder, signal, say }, openBackupKeys(config)),
  );
  const { id, snapshotAt, finishedAt, ringKeys, dump } = manifest;
  return {
    json: { backup: id, snapshotAt, finishedAt, ringKeys, storedBytes: dump.storedBytes },
    lines: [`Backup ${told(manifest)}.`],
  };
}

export async function list(config: PlatformConfig): Promise<Done> {
  const backups = await listPlatformBackups(openBackupStore({ ...config, workerImage: undefined }));
  const lines = backups
    .toReversed()
    .map(({ id, isWhole }) => `${id}${isWhole ? '' : '  without a manifest: not whole'}`);
  return {
    json: { backups: backups.map(({ id, isWhole }) => ({ id, isWhole })) },
    lines: lines.length === 0 ? ['There are no backups of the platform.'] : lines,
  };
}

export async function check(
  config: PlatformConfig,
  { signal }: Surroundings,
  options: { id: string | undefined; keysFile: string | undefined; maxAgeMinutes: number | undefined },
): Promise<Done> {
  const store = openBackupStore({ ...config, workerImage: undefined });
  const ring = await readRingFile(options.keysFile ?? config.backupKeysFile);
  const { manifest, ageSeconds } = await checkPlatformBackup(store, ring, { id: options.id, signal });
  const { maxAgeMinutes = Number.POSITIVE_INFINITY } = options;
  if (ageSeconds > maxAgeMinutes * 60) {
    const age = Math.round(ageSeconds / 60);
    throw new Failure(
      'not-found',
      `The newest backup, ${manifest.id}, is good and ${age} minutes old: see why none followed.`,
    );
  }
  return {
    json: { backup: manifest.id, snapshotAt: manifest.snapshotAt, ageSeconds, ringKeys: manifest.ringKeys },
    lines: [
      `Backup ${told(manifest)}.`,
      `It is ${Math.round(ageSeconds / 60)} minutes old. This key ring opens it, and all that its records hold wrapped ` +
        `(${manifest.ringKeys.join(', ') || 'nothing'}).`,
    ],
  };
}

export async function restore(
  config: PlatformConfig,
  { signal }: Surroundings,
  { id: named }: { id: string | undefined },
): Promise<Done> {
  const store = openBackupStore({ ...config, workerImage: undefined });
  const id = named ?? (await newestPlatformBackup(store));
  const manifest = await inFolder(async (folder) =>
    restorePlatform(directAccess(config), store, {
      id,
      keys: openBackupKeys(config),
      folder,
      signal,
      knownMigrations: await knownMigrations(),
    }),
  );
  return {
    json: { backup: id, database: config.database, snapshotAt: manifest.snapshotAt },
    lines: [
      `Restored into ${config.database}: backup ${told(manifest)}.`,
      'The database takes no writes yet: what happened since is not in it. Go on with "platform rebuild".',
    ],
  };
}
