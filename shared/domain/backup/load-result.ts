import * as v from 'valibot';
import { type ResultOrder, resultSigner } from './manifest.ts';
import { openSealed, type Signer, seal } from './manifest-seal.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,80}$/));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const text = v.pipe(v.string(), v.maxLength(500));
const time = v.pipe(v.string(), v.isoTimestamp());

/** What a load restored and how it compares with its source, sealed with the key of its order (`purpose` load-result). */
export const loadResultSchema = v.strictObject({
  version: v.literal(1),
  instanceId: id,
  operationId: id,
  attempt: v.pipe(count, v.minValue(1)),
  source: v.variant('kind', [
    v.strictObject({ kind: v.literal('backup'), instanceId: id, backupId: id, manifestSha256: sha256 }),
    /** `sha256`: of the zip as it was read. */
    v.strictObject({ kind: v.literal('odoo-zip'), key: v.pipe(v.string(), v.maxLength(512)), sha256 }),
  ]),
  startedAt: time,
  finishedAt: time,
  /** Of the module `base`, such as `19.0.1.3`; null where there is no Odoo in the database. */
  odooVersion: v.nullable(text),
  /** Those installed, sorted by name. */
  modules: v.array(v.strictObject({ name: v.string(), version: text })),
  tables: count,
  rows: count,
  /** Files of the filestore, and of them those that were linked from the live folder. */
  files: count,
  linked: count,
  /** Files that attachments name and an archive from elsewhere has not: few enough to be lost there already. */
  lost: v.optional(count),
  bytes: count,
  /** What is not as the source says: sentences, at most 50. It is good when there is none. `more` were left out. */
  differences: v.array(v.pipe(v.string(), v.maxLength(1_000))),
  more: count,
});
export type LoadResult = v.InferOutput<typeof loadResultSchema>;

export function sealLoadResult(result: LoadResult, signer: Signer): Buffer {
  return seal(result, 'load-result', signer);
}

/** @throws Failure `damaged` when these are not the bytes that the load Job of this order wrote. */
export function openLoadResult(bytes: Uint8Array, order: ResultOrder): LoadResult {
  const what = 'The result of the load Job';
  return openSealed(bytes, loadResultSchema, { purpose: 'load-result', what, signer: resultSigner(order) });
}

/** What the platform tells a swap Job, and what the Job answers; both sealed with the key of its order. */
export const swapWordSchema = v.strictObject({
  version: v.literal(1),
  instanceId: id,
  operationId: id,
  attempt: v.pipe(count, v.minValue(1)),
});
export type SwapWord = v.InferOutput<typeof swapWordSchema>;

/** `ready`: the Job is up. `go`: exchange them now. `result`: they are exchanged. */
export const swapNames = { ready: 'ready', go: 'go', result: 'result' } as const;
type SwapPurpose = 'swap-go' | 'swap-result';

export function sealSwapWord(word: SwapWord, purpose: SwapPurpose, signer: Signer): Buffer {
  return seal(word, purpose, signer);
}

/** @throws Failure `damaged` when it is not the word of this order. */
export function openSwapWord(bytes: Uint8Array, purpose: SwapPurpose, order: ResultOrder): SwapWord {
  const what = purpose === 'swap-go' ? 'The word to a swap Job' : 'The result of the swap Job';
  return openSealed(bytes, swapWordSchema, { purpose, what, signer: resultSigner(order) });
}
