import { type ApiKey, isApiKey, isSecretOf, readApiKey, whyUnusable } from '#shared/domain/access/api-key.ts';
import { grantedScopes, type Principal } from '#shared/domain/access/principal.ts';
import { openLocalWindows } from '#shared/domain/access/rate-limit.ts';
import { Failure } from '#shared/domain/failure.ts';
import { briefMemory } from '#shared/runtime/brief-memory.ts';
import { gatheredReads } from './gathered-reads.ts';
import type { VerifyToken } from './tokens.ts';

/** Where keys are kept. */
export type KeyRecords = {
  /** Those of them that there are, in any order. */
  find(ids: readonly string[]): Promise<readonly ApiKey[]>;
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
  wait?: (ms: number) => Promise<unknown>;
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
/**
 * Ids this process has not seen used are looked up together: whoever makes ids up must not keep the database busy, and cannot
 * be told from one who comes here first before they are looked up. So it is asked 50 times a second at most.
 */
const strangers = { everyMs: 20, mostKeys: 1_000 };
/** Keys that are none are told so; who shows more of them is told to slow down. No other key is counted. */
const wrongKeys = { count: 50, windowMs: 1_000 };

/** For all who share a look-up: each of them is told in his own turn. */
const notThere = new Failure('not-found', 'There is no such API key.');

const bearer = /^Bearer +([\x21-\x7e]+)$/i;

export function openAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { keys, verifyToken, onTrouble, now = () => new Date(), nowMs = () => performance.now() } = options;
  const findStranger = gatheredReads(async (ids) => new Map((await keys.find(ids)).map((key) => [key.id, key])), {
    ...strangers,
    nowMs,
    ...(options.wait === undefined ? {} : { wait: options.wait }),
  });
  const find = async (id: string) => (notedAtMs.has(id) ? (await keys.find([id]))[0] : await findStranger(id));
  // what is not there fails, and so is not remembered: made-up ids push out no real one
  const read = async (id: string) => knownOf((await find(id)) ?? (await Promise.reject(notThere)));
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

  /** What to say of a key that is none. One text for all: it does not tell which keys there are. */
  function noSuchKey(): Failure {
    const { isAllowed, retryAfterMs } = windows.take('wrong keys', wrongKeys);
    if (isAllowed) return new Failure('unauthenticated', 'There is no such API key.');
    return new Failure('too-many-requests', 'Too many keys that are none are shown: slow down.', {
      facts: { retryAfterMs },
    });
  }

  async function ofKey(text: string): Promise<Principal> {
    const shown = readApiKey(text);
    if (shown === undefined || revoked.has(shown.id)) throw noSuchKey();
    const known = await memory.get(shown.id).value.catch((cause: unknown) => {
      if (cause === notThere) return undefined;
      throw new Failure('unavailable', 'API keys cannot be looked up now. Try again.', { cause });
    });
    if (known === undefined || !isSecretOf(known.key, shown)) throw noSuchKey();
    const why = whyUnusable(known.key, now());
    if (why !== undefined) throw new Failure('unauthenticated', why);
    await noteUse(known.key.id);
    return known.holder;
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

/** A key that was read, and who shows it. */
function knownOf(key: ApiKey): { key: ApiKey; holder: Principal } {
  const { id, role, customerId } = key;
  return { key, holder: { kind: 'key', id, role, customerId, scopes: grantedScopes(key, key.scopes) } };
}
