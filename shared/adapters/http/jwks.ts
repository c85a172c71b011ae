import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
  type JWTVerifyGetKey,
} from 'jose';
import { Agent } from 'undici';
import { Failure } from '#shared/domain/failure.ts';

export type JwksOptions = {
  url: string;
  /** After so long the keys are read anew before one is used. Default 10 min. */
  freshMs?: number;
  /** When they cannot be read anew, the old ones do for so long. Default 24 h. */
  keptMs?: number;
  /** After a reading, however it ended, none is begun for so long: tokens with made-up keys must not become requests. Default 30 s. */
  coolDownMs?: number;
  timeoutMs?: number;
  /** Of a clock that nobody sets. */
  nowMs?: () => number;
};

export type Jwks = {
  /** Finds the key a token names. Throws jose's errors when the set has none, Failure `unavailable` when there is no set. */
  key: JWTVerifyGetKey;
  end(): Promise<void>;
};

type Held = { find: ReturnType<typeof createLocalJWKSet>; readAtMs: number };

const maxBytes = 256 * 1024;

/** The issuer's public keys (RFC 7517), read when they are first needed. Those who wait meanwhile share one reading. */
export function openJwks(options: JwksOptions): Jwks {
  const { freshMs = 600_000, keptMs = 86_400_000, coolDownMs = 30_000, timeoutMs = 3_000 } = options;
  const { nowMs = () => performance.now() } = options;
  const agent = new Agent({ connections: 2, connect: { timeout: timeoutMs } });
  let held: Held | undefined;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;

  async function read(): Promise<void> {
    const set = await fetchSet(agent, options.url, timeoutMs);
    held = { find: createLocalJWKSet(set), readAtMs: nowMs() };
  }

  /** Ends without a new set while the issuer rests or cannot be reached. */
  async function renew(): Promise<void> {
    if (reading === undefined) {
      if (nowMs() - triedAtMs < coolDownMs) return;
      triedAtMs = nowMs();
      reading = read().finally(() => {
        reading = undefined;
      });
    }
    await reading.catch(() => undefined);
  }

  async function current(): Promise<Held> {
    if (held === undefined || nowMs() - held.readAtMs >= freshMs) await renew();
    if (held !== undefined && nowMs() - held.readAtMs < keptMs) return held;
    throw new Failure('unavailable', "The issuer's keys cannot be read now, so no token can be checked. Try again.", {
      facts: { retryAfterMs: coolDownMs },
    });
  }

  return {
    async key(header: JWSHeaderParameters, token: FlattenedJWSInput) {
      const before = await current();
      try {
        return await before.find(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        await renew();
        if (held === before || held === undefined) throw error;
        return await held.find(header, token);
      }
    },
    end: () => agent.destroy(),
  };
}

async function fetchSet(agent: Agent, url: string, timeoutMs: number): Promise<JSONWebKeySet> {
  const { origin, pathname, search } = new URL(url);
  const answer = await agent.request({
    origin,
    path: `${pathname}${search}`,
    method: 'GET',
    headers: { accept: 'application/jwk-set+json, application/json' },
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await bodyOf(answer.body);
  if (answer.statusCode !== 200) throw new Failure('unavailable', `The issuer answered ${answer.statusCode}.`);
  // a set of another shape is refused by createLocalJWKSet
  return JSON.parse(text) as JSONWebKeySet;
}

async function bodyOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > maxBytes) throw new Failure('unavailable', 'The issuer answered with more than keys.');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
