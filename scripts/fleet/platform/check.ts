import { readFile } from 'node:fs/promises';
import { type KeyRing, parseKeyRing, ringKeyWrapper, ringSigner } from '#shared/domain/backup/key-ring.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import type { PlatformManifest } from '#shared/domain/platform/backup.ts';
import { newestPlatformBackup, readPlatformDump, readPlatformManifest } from '#shared/worker/platform/read.ts';

/** @throws Failure `misconfigured`; nothing of the file is in its text. */
export async function readRingFile(path: string | undefined): Promise<KeyRing> {
  if (path === undefined) {
    throw new Failure('misconfigured', 'Set BACKUP_KEYS_FILE, or say --keys FILE, to name the file with the key ring.');
  }
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new Failure('misconfigured', `The key ring ${path} cannot be read (${cause.code}).`, { cause });
  });
  return parseKeyRing(text);
}

export type Checked = { manifest: PlatformManifest; ageSeconds: number };

/**
 * Is the platform's backup one that this ring opens, today? Its manifest's signature, its dump's key, the whole dump to its end,
 * and that the ring holds every key that something in the records was wrapped with.
 * @throws Failure that says which of these is not so.
 */
export async function checkPlatformBackup(
  store: ObjectStore,
  ring: KeyRing,
  options: { id: string | undefined; signal: AbortSignal; now?: Date },
): Promise<Checked> {
  const keys = { wrapper: ringKeyWrapper(() => ring), signer: ringSigner(() => ring) };
  const id = options.id ?? (await newestPlatformBackup(store));
  const manifest = await readPlatformManifest(store, id, keys);
  const missing = manifest.ringKeys.filter((key) => !ring.keys.has(key));
  if (missing.length > 0) {
    throw new Failure(
      'misconfigured',
      `The key ring lacks ${missing.join(', ')}: what the records hold wrapped with it could not be opened. Put it back.`,
    );
  }
  await readPlatformDump(store, manifest, { keys, signal: options.signal });
  const now = options.now ?? new Date();
  return { manifest, ageSeconds: Math.round((now.getTime() - Date.parse(manifest.snapshotAt)) / 1000) };
}
