import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { Failure } from '../failure.ts';
import { hmacSigner, type Signer } from './manifest-seal.ts';

/**
 * What a wrapped key is for. A key wrapped for one thing is refused for another. `load`: of the Jobs of one operation that
 * loads or exchanges an instance's data, whose id is in `backupId`. `webhook`: what an endpoint of a customer's is signed for,
 * whose id is in `instanceId`; by a ring of its own.
 */
export type KeyContext = {
  purpose: 'dump' | 'files' | 'export' | 'import' | 'load' | 'platform' | 'webhook';
  instanceId: string;
  backupId?: string;
};

/** Encrypts the keys of backups with one that a key ring, or a key management service, keeps to itself. */
export type KeyWrapper = {
  /** `key` has 32 bytes. The result is text of at most 200 characters of A-Z, a-z, 0-9, `.`, `-` and `_`. */
  wrap(key: Uint8Array, context: KeyContext): Promise<string>;
  /**
   * @throws Failure `misconfigured`: the wrapping key is not there; `damaged`: altered, or wrapped for something else;
   * `unavailable`: a service does not answer.
   */
  unwrap(wrapped: string, context: KeyContext): Promise<Buffer>;
  /** Wrapped by the current key; undefined when it is already. */
  rewrap(wrapped: string, context: KeyContext): Promise<string | undefined>;
};

/** Keys of 32 bytes by their id. New keys are wrapped and manifests signed by the current one; all may open. */
export type KeyRing = { current: string; keys: ReadonlyMap<string, Buffer> };

const keyId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,40}$/, 'a key id is 1 to 40 letters, digits, "-" and "_"'));
const key = v.pipe(
  v.string(),
  v.check((text) => keyOf(text) !== undefined, 'a key is 32 random bytes in base64: openssl rand -base64 32'),
);
const ringSchema = v.strictObject({ current: keyId, keys: v.record(keyId, key) });

/**
 * Reads `{"current":"k1","keys":{"k1":"<base64 of 32 bytes>"}}`.
 * @throws Failure `misconfigured` that says what is wrong and shows nothing of the text.
 */
export function parseKeyRing(text: string): KeyRing {
  const parsed = v.safeParse(ringSchema, jsonOf(text));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    // a key's id is no secret, and the messages of other mistakes would show what was received
    const why = issue.type === 'check' || issue.type === 'regex' ? issue.message : 'it has another shape';
    throw ringMistake(`${why} (at ${v.getDotPath(issue) ?? 'the top'})`);
  }
  const { current } = parsed.output;
  const keys = new Map(Object.entries(parsed.output.keys).map(([id, one]) => [id, keyOf(one) ?? Buffer.alloc(0)]));
  if (!keys.has(current))
    throw ringMistake(`it has no key ${JSON.stringify(current)}, which it names as the current one`);
  if (new Set([...keys.values()].map((one) => one.toString('hex'))).size < keys.size) {
    throw ringMistake('two of its keys are the same');
  }
  return { current, keys };
}

/**
 * Wraps by AES-256-GCM with the ring's current key: `w1.<key id>.<base64url of nonce, key and tag>`. To rotate, add a key
 * to the ring, make it the current one, `rewrap` what is stored, and remove the old one when nothing names it any more.
 * `ring` is asked at each use, so that a rotated Secret needs no restart.
 */
export function ringKeyWrapper(ring: () => KeyRing): KeyWrapper {
  async function unwrap(wrapped: string, context: KeyContext): Promise<Buffer> {
    const { id, sealed } = partsOf(wrapped);
    const wrappingKey = keyNamed(ring(), id);
    return open(sealed, wrappingKey, boundTo(id, context));
  }
  async function wrap(bytes: Uint8Array, context: KeyContext): Promise<string> {
    if (bytes.length !== 32) throw new Failure('internal', `A key of a backup has 32 bytes, not ${bytes.length}.`);
    const now = ring();
    const nonce = randomBytes(nonceSize);
    const cipher = createCipheriv('aes-256-gcm', derived(keyNamed(now, now.current), 'wrap'), nonce);
    cipher.setAAD(boundTo(now.current, context));
    const sealed = [nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()];
    return `w1.${now.current}.${Buffer.concat(sealed).toString('base64url')}`;
  }
  return {
    wrap,
    unwrap,
    async rewrap(wrapped, context) {
      const bytes = await unwrap(wrapped, context);
      return partsOf(wrapped).id === ring().current ? undefined : await wrap(bytes, context);
    },
  };
}

/** Signs with a key derived from the ring's current one, and knows the signatures of all its keys. */
export function ringSigner(ring: () => KeyRing): Signer {
  const signerOf = (id: string, bytes: Buffer) => hmacSigner(id, derived(bytes, 'sign'));
  return {
    sign(bytes) {
      const now = ring();
      return signerOf(now.current, keyNamed(now, now.current)).sign(bytes);
    },
    isSigned(bytes, by) {
      const found = ring().keys.get(by.keyId);
      return found !== undefined && signerOf(by.keyId, found).isSigned(bytes, by);
    },
  };
}

const nonceSize = 12;
const tagSize = 16;

/** One key for each use, so that what one does never helps against the other. */
function derived(bytes: Buffer, use: 'wrap' | 'sign'): Buffer {
  return Buffer.from(hkdfSync('sha256', bytes, '', `odoo-fleet key ring ${use}`, 32));
}

/** As JSON, so that no two contexts read the same. */
function boundTo(id: string, { purpose, instanceId, backupId }: KeyContext): Buffer {
  return Buffer.from(JSON.stringify(['odoo-fleet wrapped key', id, purpose, instanceId, backupId ?? null]));
}

function open(sealed: Buffer, wrappingKey: Buffer, bound: Buffer): Buffer {
  const end = sealed.length - tagSize;
  const nonce = sealed.subarray(0, nonceSize);
  const decipher = createDecipheriv('aes-256-gcm', derived(wrappingKey, 'wrap'), nonce, { authTagLength: tagSize });
  decipher.setAAD(bound);
  decipher.setAuthTag(sealed.subarray(end));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(nonceSize, end)), decipher.final()]);
  } catch {
    // Node's error says no more than that
    throw new Failure(
      'damaged',
      'A wrapped key was altered, or was wrapped for another backup or instance. It is not used.',
    );
  }
}

function partsOf(wrapped: string): { id: string; sealed: Buffer } {
  const [, id, text] = /^w1\.([A-Za-z0-9_-]{1,40})\.([A-Za-z0-9_-]{80})$/.exec(wrapped) ?? [];
  if (id !== undefined && text !== undefined) return { id, sealed: Buffer.from(text, 'base64url') };
  throw new Failure('damaged', 'A wrapped key has another form than w1.<key id>.<80 characters>. It is not used.');
}

function keyNamed(ring: KeyRing, id: string): Buffer {
  const found = ring.keys.get(id);
  if (found !== undefined) return found;
  throw new Failure(
    'misconfigured',
    `The key ring has no key ${JSON.stringify(id)}: put it back into the file that BACKUP_KEYS_FILE names, or for ` +
      'endpoints of customers WEBHOOK_KEYS_FILE. What was wrapped or signed with it cannot be opened without it.',
  );
}

/** 32 bytes, or undefined. */
function keyOf(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === 32 && bytes.toString('base64') === text ? bytes : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema refuses it; the parser's message would show some of the text
  }
}

function ringMistake(why: string): Failure {
  return new Failure(
    'misconfigured',
    `The key ring is not usable: ${why}. Write {"current":"k1","keys":{"k1":"<base64 of 32 bytes>"}}.`,
  );
}
