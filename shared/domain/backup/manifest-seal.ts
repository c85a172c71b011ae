import { createHmac, timingSafeEqual } from 'node:crypto';
import * as v from 'valibot';
import { Failure } from '#shared/domain/failure.ts';

/** What a sealed document is. It is part of what is signed: a result is never taken for a manifest. */
export type SealPurpose =
  | 'backup-result'
  | 'backup-manifest'
  | 'platform-manifest'
  | 'verify-result'
  | 'load-result'
  | 'swap-go'
  | 'swap-result'
  | 'deletion-certificate'
  | 'export-result'
  | 'import-upload';

/** Puts a signature on bytes, and tells whether one is right. A key ring gives one; so does the one key of a Job. */
export type Signer = {
  sign(bytes: Uint8Array): { keyId: string /** Hex. */; signature: string };
  isSigned(bytes: Uint8Array, by: { keyId: string; signature: string }): boolean;
};

/** Signs with HMAC-SHA256 under one key. */
export function hmacSigner(keyId: string, key: Uint8Array): Signer {
  const hmac = (bytes: Uint8Array) => createHmac('sha256', key).update(bytes).digest();
  return {
    sign: (bytes) => ({ keyId, signature: hmac(bytes).toString('hex') }),
    isSigned(bytes, by) {
      const given = Buffer.from(by.signature, 'hex');
      const right = hmac(bytes);
      return by.keyId === keyId && given.length === right.length && timingSafeEqual(given, right);
    },
  };
}

const envelopeSchema = v.strictObject({
  purpose: v.string(),
  keyId: v.string(),
  signature: v.pipe(v.string(), v.regex(/^[0-9a-f]{64,128}$/)),
  body: v.unknown(),
});

/**
 * JSON in which equal values have equal bytes: the keys of objects sorted by their UTF-16 units, no white space.
 * @throws TypeError for what JSON cannot say without loss: undefined, NaN, numbers that are not safe integers.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonicalJson(one)}`).join(',')}}`;
  }
  throw new TypeError(
    `A document that is signed holds integers, texts, true, false and null, not ${typeof value === 'number' ? value : typeof value}.`,
  );
}

/** The bytes of a signed document, as they are stored. Equal documents signed alike have equal bytes. */
export function seal(body: unknown, purpose: SealPurpose, signer: Pick<Signer, 'sign'>): Buffer {
  const { keyId, signature } = signer.sign(signedBytes(canonicalJson(body), purpose));
  return Buffer.from(canonicalJson({ purpose, keyId, signature, body }));
}

/**
 * The document in `bytes`, when it was signed for this purpose by `signer`.
 * @param wanted.what names the document in the text of the failure: `The manifest of backup 0199…`.
 * @throws Failure `damaged` when it was not, or was altered, or has another shape: nothing of it may be used.
 */
export function openSealed<Schema extends v.GenericSchema>(
  bytes: Uint8Array,
  schema: Schema,
  wanted: { purpose: SealPurpose; what: string; signer: Pick<Signer, 'isSigned'> },
): v.InferOutput<Schema> {
  const { purpose, what, signer } = wanted;
  const envelope = v.safeParse(envelopeSchema, parsed(bytes));
  if (!envelope.success) throw damaged(what, 'is cut, altered or none of ours: it is not a signed document');
  const { body, purpose: found, ...by } = envelope.output;
  if (found !== purpose) throw damaged(what, `is something else (${JSON.stringify(found.slice(0, 40))})`);
  const text = canonicalOrUndefined(body);
  if (text === undefined || !signer.isSigned(signedBytes(text, purpose), by)) {
    const key = JSON.stringify(by.keyId.slice(0, 40));
    throw damaged(what, `was altered, or was not signed with the key ${key} that it names`);
  }
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw damaged(what, `is of another version: ${v.getDotPath(issue) ?? 'it'}: ${issue.message}`);
}

/** The purpose is told as JSON, on a line of its own: no two inputs read the same. */
function signedBytes(body: string, purpose: SealPurpose): Buffer {
  return Buffer.from(`${JSON.stringify(['odoo-fleet', purpose])}\n${body}`);
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined; // the caller says what it means
  }
}

function canonicalOrUndefined(body: unknown): string | undefined {
  try {
    return canonicalJson(body);
  } catch {
    return undefined; // fractions and the like are in no document that we signed
  }
}

function damaged(what: string, why: string): Failure {
  return new Failure('damaged', `${what} ${why}. It is not used.`);
}
