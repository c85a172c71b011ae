import * as v from 'valibot';
import { type ResultOrder, resultSigner } from './manifest.ts';
import { openSealed } from './manifest-seal.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,80}$/));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const time = v.pipe(v.string(), v.isoTimestamp());

/** Of the objects below the prefix of an export's order. */
export const exportNames = { archive: 'archive', result: 'result' } as const;

/** What an export's Job wrote, sealed with the key of its order (`purpose` export-result). */
export const exportResultSchema = v.strictObject({
  version: v.literal(1),
  instanceId: id,
  backupId: id,
  operationId: id,
  attempt: v.pipe(count, v.minValue(1)),
  manifestSha256: sha256,
  startedAt: time,
  finishedAt: time,
  archive: v.strictObject({
    key: v.pipe(v.string(), v.maxLength(512)),
    /** Of the zip, before encryption. */
    bytes: count,
    sha256,
    /** In the store. */
    storedBytes: count,
  }),
  /** In the archive's filestore. */
  files: count,
});
export type ExportResult = v.InferOutput<typeof exportResultSchema>;

/** @throws Failure `damaged` when these are not the bytes that the export Job of this order wrote. */
export function openExportResult(bytes: Uint8Array, order: ResultOrder): ExportResult {
  const what = 'The result of the export Job';
  return openSealed(bytes, exportResultSchema, { purpose: 'export-result', what, signer: resultSigner(order) });
}
