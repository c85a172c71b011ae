import { createHash } from 'node:crypto';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { unseal } from '#shared/domain/objects/sealing.ts';

/** What lies in the store, in its own bytes. */
export type StoredDigest = { size: number; sha256: string };

/** An encrypted object while it is read once: its content, and when that was gone through, what it was made from. */
export type OpenedObject = {
  /** @throws Failure `damaged` where the object is not what was written under its key with this encryption key. */
  content: AsyncIterable<Buffer>;
  /** Of the bytes as they are stored. Right when `content` came to its end. */
  stored(): StoredDigest;
};

/** undefined: there is no such object. */
export async function openStoredObject(
  store: ObjectStore,
  key: string,
  encryptionKey: Uint8Array,
): Promise<OpenedObject | undefined> {
  const found = await store.read(key);
  if (found === undefined) return undefined;
  const hash = createHash('sha256');
  let size = 0;
  async function* hashed(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of bytes) {
      hash.update(piece);
      size += piece.length;
      yield piece;
    }
  }
  const content = unseal(hashed(found.bytes), { key: encryptionKey, name: key });
  return { content, stored: () => ({ size, sha256: hash.copy().digest('hex') }) };
}

/** An object of the filestore: what it is in the store, and the sha1 and size of its content. */
export type ReadFile = StoredDigest & { sha1: string; bytes: number };

/** Reads all of it. undefined: there is no such object. @throws Failure `damaged` as above. */
export async function readStoredFile(
  store: ObjectStore,
  key: string,
  filesKey: Uint8Array,
): Promise<ReadFile | undefined> {
  const opened = await openStoredObject(store, key, filesKey);
  if (opened === undefined) return undefined;
  const sha1 = createHash('sha1');
  let bytes = 0;
  for await (const piece of opened.content) {
    sha1.update(piece);
    bytes += piece.length;
  }
  return { ...opened.stored(), sha1: sha1.digest('hex'), bytes };
}
