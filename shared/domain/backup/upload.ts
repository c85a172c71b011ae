import * as v from 'valibot';
import { Failure } from '../failure.ts';
import type { KeyWrapper } from './key-ring.ts';
import { openSealed, type Signer, seal } from './manifest-seal.ts';

// An archive that somebody uploaded to be imported lies encrypted under `imports/<instance>/<name>`; what it is and the
// wrapped key to read it lie beside it, signed, under the same key with `.about` behind it.

/** An upload is deleted so long after it was written, imported or not; that of an instance that is purged, with it. */
export const uploadKeptMs = 7 * 24 * 3_600_000;

const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

export const uploadSchema = v.strictObject({
  version: v.literal(1),
  instanceId: v.string(),
  key: v.string(),
  wrappedKey: v.string(),
  /** Of the archive, before encryption. */
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  sha256,
});
export type Upload = v.InferOutput<typeof uploadSchema>;

const pattern = /^imports\/([a-z2-7]{12})\/([A-Za-z0-9_-][A-Za-z0-9._-]{0,99})$/;

/** Under which an archive for that instance is put. */
export function uploadKey(instanceId: string, name: string): string {
  return checkUploadKey(`imports/${instanceId}/${name}`, instanceId);
}

export const aboutKey = (key: string) => `${key}.about`;

/** @throws Failure `invalid-request`: only what was uploaded for this very instance is imported. */
export function checkUploadKey(key: string, instanceId: string): string {
  if (pattern.exec(key)?.[1] === instanceId) return key;
  const text = `An archive for instance ${instanceId} lies under imports/${instanceId}/ and a name of letters, digits, “.”, “_” and “-”.`;
  throw new Failure('invalid-request', text);
}

/** Whose it is, by its key or that of what lies beside it. */
export function uploadOwner(key: string): string | undefined {
  return pattern.exec(key)?.[1];
}

/** What its key is wrapped for. */
export function uploadKeyContext(instanceId: string) {
  return { purpose: 'import', instanceId } as const;
}

export function signUpload(upload: Upload, signer: Pick<Signer, 'sign'>): Buffer {
  return seal(upload, 'import-upload', signer);
}

/**
 * What was uploaded, with its key in the clear.
 * @throws Failure `damaged` when it is not signed by a key of the ring, or was made for another key or instance.
 */
export async function openUpload(
  bytes: Uint8Array,
  wanted: { key: string; instanceId: string },
  ring: { signer: Pick<Signer, 'isSigned'>; wrapper: Pick<KeyWrapper, 'unwrap'> },
): Promise<{ sha256: string; bytes: number; encryptionKey: Buffer }> {
  const what = 'The description of the upload';
  const upload = openSealed(bytes, uploadSchema, { purpose: 'import-upload', what, signer: ring.signer });
  if (upload.key !== wanted.key || upload.instanceId !== wanted.instanceId) {
    throw new Failure('damaged', `${what} is that of another one. It is not used.`);
  }
  const encryptionKey = await ring.wrapper.unwrap(upload.wrappedKey, uploadKeyContext(wanted.instanceId));
  return { sha256: upload.sha256, bytes: upload.bytes, encryptionKey };
}
