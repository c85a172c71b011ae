import { randomBytes } from 'node:crypto';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import { aboutKey, signUpload, type Upload, uploadKey, uploadKeyContext } from '#shared/domain/backup/upload.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import type { BackupKeyRing } from './backup-keys.ts';

/**
 * Puts an archive into the store for the import as that instance, encrypted with a key of its own. The request of the
 * import names the key that is returned. What says how to read it is written last.
 */
export async function uploadArchive(
  store: ObjectStore,
  archive: { instanceId: string; name: string; bytes: AsyncIterable<Uint8Array> },
  { wrapper, signer }: Pick<BackupKeyRing, 'wrapper' | 'signer'>,
): Promise<Upload> {
  const { instanceId, name, bytes } = archive;
  const key = uploadKey(instanceId, name);
  const encryptionKey = randomBytes(32);
  const written = await encryptedStore(store, encryptionKey).write(key, bytes, { onlyIfNew: true });
  if (written.outcome === 'exists') {
    throw new Failure('conflict', `There is an archive ${key} already. Import it, or choose another name.`);
  }
  const wrappedKey = await wrapper.wrap(encryptionKey, uploadKeyContext(instanceId));
  const { size, sha256 } = written.content;
  const upload: Upload = { version: 1, instanceId, key, wrappedKey, bytes: size, sha256 };
  await store.put(aboutKey(key), signUpload(upload, signer));
  return upload;
}
