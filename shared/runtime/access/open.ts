import { openJwks } from '#shared/adapters/http/jwks.ts';
import { apiKeyRecords } from '#shared/adapters/postgres/api-keys.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import type { RedisConnection } from '#shared/adapters/redis/connection.ts';
import { openSharedWindows } from '#shared/adapters/redis/rate-limit.ts';
import { defaultLimits } from '#shared/domain/access/rate-limit.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { Config } from '#shared/runtime/config.ts';
import type { access } from '#shared/runtime/edge-rows.ts';
import type { Log } from '#shared/runtime/log.ts';
import type { cache } from '#shared/runtime/rows.ts';
import { type Authenticator, openAuthenticator } from './authenticate.ts';
import { openRateLimiter, type RateLimiter } from './rate-limit.ts';
import { tokenVerifier, type VerifyToken } from './tokens.ts';

/** Who may ask, and how often, for the life of the process. */
export type Access = Authenticator & RateLimiter & { end(): Promise<void> };

type Settings = Config<typeof access & typeof cache>;

/** Opens it as the settings say. Nothing is connected before the first use. @throws Failure `misconfigured`. */
export function openAccess(
  config: Settings,
  options: {
    database: Database;
    log: Log;
    namespace?: string;
    /** Instead of a connection of its own. */
    redis?: RedisConnection | undefined;
  },
): Access {
  const { database, log, namespace = 'fleet', redis } = options;
  const tokens = openTokens(config);
  const shared = openWindows(config, { log, namespace, redis });
  const authenticator = openAuthenticator({
    keys: apiKeyRecords(database),
    verifyToken: tokens?.verify,
    onTrouble: (failure) => log.warn({ code: asFailure(failure).code }, 'the use of an API key could not be noted'),
  });
  const limiter = openRateLimiter({ shared, limits: limitsOf(config) });
  return {
    ...authenticator,
    ...limiter,
    async end() {
      shared?.close();
      await tokens?.end();
    },
  };
}

function openTokens(config: Settings): { verify: VerifyToken; end(): Promise<void> } | undefined {
  const { jwtIssuer: issuer, jwtAudience: audience, jwtKeysUrl: url } = config;
  if (issuer === undefined && audience === undefined && url === undefined) return undefined;
  if (issuer === undefined || audience === undefined || url === undefined) {
    throw new Failure('misconfigured', 'Set JWT_ISSUER, JWT_AUDIENCE and JWT_JWKS_URL, or none of them.');
  }
  const keys = openJwks({ url });
  const claimNames = { role: config.jwtRoleClaim, customer: config.jwtCustomerClaim };
  return { verify: tokenVerifier({ issuer, audience, key: keys.key, claimNames }), end: () => keys.end() };
}

function openWindows(config: Settings, options: { log: Log; namespace: string; redis: RedisConnection | undefined }) {
  const { redisHost: host, redisPort: port, redisPassword: password } = config;
  if (host === undefined) return undefined;
  return openSharedWindows({ address: { host, port, ...(password === undefined ? {} : { password }) }, ...options });
}

function limitsOf(config: Settings) {
  const { read, write, export: exporting } = defaultLimits;
  return {
    read: { ...read, count: config.readsPerMinute },
    write: { ...write, count: config.writesPerMinute },
    export: { ...exporting, count: config.exportsPerMinute },
  };
}
