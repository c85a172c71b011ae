import { errors, FlattenedSign, flattenedVerify, type JWSHeaderParameters } from 'jose';
import { canonicalJson } from './canonical-json.ts';
import { type SignatureKey, signatureAlgorithms } from './signature-keys.ts';

/** What a signature covers. Time, subject and extensions are not among it: brokers and replays may change them. */
export type SignedParts = {
  id: string;
  source: string;
  type: string;
  /** sha256 of the canonical JSON of the data, the one the inbox keeps. */
  dataHash: Buffer;
};

/** `keyId`: the key that made it; else why it is no signature of this event by one of the keys. */
export type Verdict = { valid: true; keyId: string } | { valid: false; reason: string };

/**
 * The event's signature: a JWS in compact form without its payload (RFC 7515, appendix F), `<header>..<signature>`, whose
 * header says `alg` and `kid`.
 */
export async function signEvent(event: SignedParts, { key, keyId, algorithm }: SignatureKey): Promise<string> {
  const signed = await new FlattenedSign(payloadOf(event)).setProtectedHeader({ alg: algorithm, kid: keyId }).sign(key);
  return `${signed.protected}..${signed.signature}`;
}

/**
 * Is it the signature of exactly this event, by one of these keys (by key id)? Only the key named by `kid` is tried, with
 * the algorithm that the key is for. Keys that the header brings along or points to are not looked at.
 */
export async function verifySignature(
  event: SignedParts,
  signature: string,
  keys: ReadonlyMap<string, SignatureKey>,
): Promise<Verdict> {
  const [header, payload, value, ...rest] = signature.split('.');
  if (header === undefined || payload !== '' || value === undefined || rest.length > 0) {
    return { valid: false, reason: 'it is not a detached JWS in compact form' };
  }
  let keyId = '';
  const findKey = ({ alg, kid }: JWSHeaderParameters) => {
    const found = typeof kid === 'string' ? keys.get(kid) : undefined;
    if (found === undefined) throw new errors.JWKSNoMatchingKey();
    if (found.algorithm !== alg) throw new errors.JOSEAlgNotAllowed('the key is for another algorithm');
    keyId = found.keyId;
    return found.key;
  };
  try {
    const jws = { protected: header, payload: payloadOf(event).toString('base64url'), signature: value };
    await flattenedVerify(jws, findKey, { algorithms: [...signatureAlgorithms] });
    return { valid: true, keyId };
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    return { valid: false, reason: reasons[error.code] ?? 'it is not a detached JWS in compact form' };
  }
}

const reasons: Readonly<Record<string, string>> = {
  [errors.JWKSNoMatchingKey.code]: 'its key is not one of this source',
  [errors.JOSEAlgNotAllowed.code]: 'its algorithm is not the one of its key',
  [errors.JWSSignatureVerificationFailed.code]: 'it was not made for this id, source, type and data by that key',
};

/** The sorted members keep it the same for every sender; RFC 8785 gives the same text. */
function payloadOf({ id, source, type, dataHash }: SignedParts): Buffer {
  return Buffer.from(canonicalJson({ datahash: dataHash.toString('base64url'), id, source, type }));
}
