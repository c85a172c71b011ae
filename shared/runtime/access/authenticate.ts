import { type ApiKey, isApiKey, isSecretOf, readApiKey, whyUnusable } from '#shared/domain/access/api-key.ts';
import { grantedScopes, type Principal } from '#shared/domain/access/principal.ts';
import { openLocalWindows } from '#shared/domain/access/rate-limit.ts';
import { Failure } from '#shared/domain/failure.ts';
import { briefMemory } from '#shared/runtime/brief-memory.ts';
import type { VerifyToken } from './tokens.ts';

/** Where keys are kept. */
export type KeyRecords = {
  find(id: string): Promise<ApiKey | undefined>;
  /** Notes the use, if the noted one is older than a minute. */
  noteUse(id: string): Promise<void>;
};

export type AuthenticatorOptions = {
  keys: KeyRecords;
  /** Undefined: no issuer is set, only API keys are taken. */
  verifyToken: VerifyToken | undefined;
  /** Told when a use could not be noted. */
  onTrouble(failure: unknown): void;
  now?: () => Date;
  /** Of a clock that nobody sets. */
  nowMs?: () => number;
};

export type Authenticator = {
  /**
   * Who sends a request with these headers (by lower-case name): `Authorization: Bearer <token or API key>`.
   * @throws Failure `unauthenticated`; `forbidden` when a token says too little of its holder; `unavailable` when keys
   * cannot be read now.
   */
  authenticate(headers: Readonly<Record<string, string | undefined>>): Promise<Principal>;
  /** To be called once a key is revoked: this process takes it no longer. Others do for `keyKeptMs` at most. */
  forget(keyId: string): void;
};

/** For so long a key that was read is not read again. */
const keyKeptMs = 10_000;
const keysKept = 2_000;
const useNotedMs = 60_000;
/** Look-ups of ids this process has not seen used: whoever makes ids up must not keep the database busy. */
const strangers = { count: 50, windowMs: 1_000 };

const bearer = /^Bearer +([\x21-\x7e]+)$/i;

export function openAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { keys, verifyToken, onTrouble, now = () => new Date(), nowMs = () => performance.now() } = options;
  // what is not there fails, and so is not remembered: made-up ids push out no real one
  const read = async (id: string) => (await keys.find(id)) ?? Promise.reject(unknownKey());
  const memory = briefMemory(read, { keptMs: keyKeptMs, maxEntries: keysKept, nowMs });
  const revoked = new Set<string>();
  const notedAtMs = new Map<string, number>();
  const windows = openLocalWindows({ maxSubjects: 1, nowMs });

  async function noteUse(id: string): Promise<void> {
    const last = notedAtMs.get(id) ?? Number.NEGATIVE_INFINITY;
    if (nowMs() - last < useNotedMs) return;
    notedAtMs.delete(id);
    notedAtMs.set(id, nowMs());
    const [oldest] = notedAtMs.keys();
    if (notedAtMs.size > keysKept && oldest !== undefined) notedAtMs.delete(oldest);
    // a note is no reason to refuse a request
    await keys.noteUse(id).catch(onTrouble);
  }

  function letStrangerIn(): void {
    const { isAllowed, retryAfterMs } = windows.take('strangers', strangers);
    if (isAllowed) return;
    throw new Failure('too-many-requests', 'Too many keys that were not used lately are shown: try again.', {
      facts: { retryAfterMs },
    });
  }

  async function ofKey(text: string): Promise<Principal> {
    const shown = readApiKey(text);
    if (shown === undefined || revoked.has(shown.id)) throw unknownKey();
    if (!notedAtMs.has(shown.id)) letStrangerIn();
    const key = await memory.get(shown.id).value.catch((cause: unknown) => {
      if (cause instanceof Failure && cause.code === 'unauthenticated') throw cause;
      throw new Failure('unavailable', 'API keys cannot be looked up now. Try again.', { cause });
    });
    if (!isSecretOf(key, shown)) throw unknownKey();
    const why = whyUnusable(key, now());
    if (why !== undefined) throw new Failure('unauthenticated', why);
    await noteUse(key.id);
    const { id, role, customerId } = key;
    return { kind: 'key', id, role, customerId, scopes: grantedScopes(key, key.scopes) };
  }

  return {
    async authenticate(headers) {
      const authorization = headers['authorization'];
      if (authorization === undefined) {
        throw new Failure('unauthenticated', 'Send "Authorization: Bearer" with a token or an API key.');
      }
      const [, credentials] = bearer.exec(authorization) ?? [];
      if (credentials === undefined) {
        throw new Failure('unauthenticated', 'The header Authorization is not "Bearer" with a token or an API key.');
      }
      if (isApiKey(credentials)) return await ofKey(credentials);
      if (verifyToken === undefined) {
        throw new Failure('unauthenticated', 'No issuer of tokens is set here: send an API key.');
      }
      return await verifyToken(credentials);
    },
    forget(keyId) {
      revoked.add(keyId);
      // keys are never taken back into use; the rest of them is read by then
      const [oldest] = revoked;
      if (revoked.size > keysKept && oldest !== undefined) revoked.delete(oldest);
    },
  };
}

/** One text for all: it does not tell which keys there are. */
function unknownKey(): Failure {
  return new Failure('unauthenticated', 'There is no such API key.');
}
