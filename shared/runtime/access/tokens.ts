import { hash } from 'node:crypto';
import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { type ClaimNames, principalOfClaims } from '#shared/domain/access/claims.ts';
import type { Principal } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';

export type TokenOptions = {
  issuer: string;
  audience: string;
  key: JWTVerifyGetKey;
  claimNames?: ClaimNames;
  /** The clock tokens are dated by. */
  now?: () => Date;
};

/** Who holds the token. @throws Failure `unauthenticated`, `forbidden`, `unavailable`. */
export type VerifyToken = (token: string) => Promise<Principal>;

/**
 * The algorithms a token may be signed with. A fixed list, so that its header decides nothing: `none` and HMAC, which would
 * take a public key for a shared secret, are not on it.
 */
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];

/** How far the issuer's clock may be from ours. */
const clockToleranceSeconds = 30;
/** A verified token is not verified again for so long, nor after it ends: for so long a withdrawn key of the issuer still counts. */
const keptMs = 300_000;
const maxKept = 5_000;
const maxTokenLength = 8_192;

type Kept = { principal: Principal; untilMs: number };

/** Verifies JWTs (RFC 7519) of one issuer for one audience. Verified ones are remembered by their hash. */
export function tokenVerifier(options: TokenOptions): VerifyToken {
  const { issuer, audience, key, claimNames, now = () => new Date() } = options;
  const kept = new Map<string, Kept>();

  return async (token) => {
    if (token.length > maxTokenLength) throw refused('longer than 8 KiB');
    const name = hash('sha256', token, 'base64url');
    const known = kept.get(name);
    if (known !== undefined && now().getTime() < known.untilMs) return known.principal;
    kept.delete(name);
    const { payload } = await jwtVerify(token, key, {
      algorithms,
      issuer,
      audience,
      clockTolerance: clockToleranceSeconds,
      requiredClaims: ['exp', 'sub'],
      currentDate: now(),
    }).catch((error: unknown) => {
      throw error instanceof errors.JOSEError ? refused(reasonOf(error)) : error;
    });
    const principal = principalOfClaims(payload, claimNames);
    const endsMs = ((payload.exp ?? 0) + clockToleranceSeconds) * 1_000;
    kept.set(name, { principal, untilMs: Math.min(endsMs, now().getTime() + keptMs) });
    const [oldest] = kept.keys();
    if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest);
    return principal;
  };
}

function refused(reason: string): Failure {
  return new Failure('unauthenticated', `The token is ${reason}. Get a new one from the issuer.`);
}

/** In words of ours: messages of the library may quote what was sent. */
function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWTClaimValidationFailed) return claimReasons[error.claim] ?? 'not for this platform';
  return reasons[error.code] ?? 'no token that can be read';
}

const claimReasons: Readonly<Record<string, string>> = {
  iss: 'of another issuer',
  aud: 'for another audience',
  nbf: 'not valid yet',
  exp: 'without an end (exp)',
  sub: 'without a subject (sub)',
};

const reasons: Readonly<Record<string, string>> = {
  [errors.JOSEAlgNotAllowed.code]: `signed with an algorithm that is not one of ${algorithms.join(', ')}`,
  [errors.JWKSNoMatchingKey.code]: 'signed with a key that the issuer does not publish',
  [errors.JWKSMultipleMatchingKeys.code]: 'signed with a key it does not name',
  [errors.JWSSignatureVerificationFailed.code]: 'not signed by the issuer',
};
