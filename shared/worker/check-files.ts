import { type BackupManifest, type StoredFile, storedFileKey, storedFileName } from '#shared/domain/backup/manifest.ts';
import { asFailure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { concurrently } from './concurrently.ts';
import { digestOf, retrying } from './store-files.ts';
import { type ReadFile, readStoredFile } from './stored-object.ts';

const reads = 8;

export type CheckedFiles = { differences: string[]; count: number; bytes: number };

/** Reads every object of the filestore that the manifest names, to its end, and says what is wrong with them. */
export async function checkFiles(
  manifest: Pick<BackupManifest, 'instanceId' | 'files'>,
  options: { store: ObjectStore; filesKey: Uint8Array; signal: AbortSignal; onFile(): void },
): Promise<CheckedFiles> {
  const { store, filesKey, signal, onFile } = options;
  const { files } = manifest;
  const differences: string[] = [];
  const sha1s: string[] = [];
  let bytes = 0;
  await concurrently(files.objects, reads, async (object) => {
    const key = storedFileKey(manifest.instanceId, object[0]);
    const found = await readOrDamage(store, key, { filesKey, signal });
    if (typeof found === 'string') differences.push(found);
    else {
      bytes += found.bytes;
      sha1s.push(found.sha1);
      differences.push(...fileDifferences(found, { object, filesKey }));
    }
    onFile();
  });
  if (files.objects.length !== files.count) {
    differences.push(`The manifest names ${files.objects.length} files and says that there are ${files.count}.`);
  }
  if (differences.length === 0 && digestOf(sha1s) !== files.contents) {
    differences.push('The contents of the files are not those that the manifest was made for.');
  }
  return { differences: differences.toSorted(), count: sha1s.length, bytes };
}

async function readOrDamage(
  store: ObjectStore,
  key: string,
  { filesKey, signal }: { filesKey: Uint8Array; signal: AbortSignal },
): Promise<ReadFile | string> {
  try {
    return (await retrying(signal, () => readStoredFile(store, key, filesKey))) ?? `The object ${key} is missing.`;
  } catch (error) {
    const failure = asFailure(error);
    if (failure.code === 'damaged') return failure.message;
    throw error;
  }
}

/**
 * An object of other bytes, whose content is authentic and right, is one that was written anew because it was damaged:
 * that is no difference. What the manifest's sha256 is for is to find damage without the key.
 */
function fileDifferences(
  found: ReadFile,
  { object, filesKey }: { object: StoredFile; filesKey: Uint8Array },
): string[] {
  if (storedFileName(filesKey, found.sha1) === object[0]) return [];
  return [`The object ${object[0]} holds another file than its name says (sha1 ${found.sha1}).`];
}
