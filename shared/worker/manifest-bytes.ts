import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { type BackupManifest, backupManifestSchema } from '#shared/domain/backup/manifest.ts';
import { Failure } from '#shared/domain/failure.ts';

/** Hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const envelopeSchema = v.object({ body: backupManifestSchema });

/** The manifest in bytes whose sha256 was found right: its signature was checked by who made the order. */
export function manifestIn(bytes: Uint8Array): BackupManifest {
  const result = v.safeParse(envelopeSchema, JSON.parse(Buffer.from(bytes).toString()));
  if (result.success) return result.output.body;
  const [issue] = result.issues;
  throw new Failure('damaged', `The manifest is of another version: ${v.getDotPath(issue) ?? 'it'}: ${issue.message}.`);
}
