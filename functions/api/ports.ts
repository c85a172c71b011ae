import type { Database } from '#shared/adapters/postgres/database.ts';
import type { Principal } from '#shared/domain/access/principal.ts';
import type { Cache } from '#shared/domain/cache/cache.ts';
import type { DomainResolver } from '#shared/domain/custom-domain/custom-domain.ts';
import type { SecretWrapper } from '#shared/domain/webhook/secret.ts';
import type { TargetPolicy } from '#shared/domain/webhook/target.ts';
import type { ReplayParts } from '#shared/runtime/dead-letter/replay.ts';
import type { Log } from '#shared/runtime/log.ts';

/** What the limit says about one request. */
export type LimitAnswer = {
  isAllowed: boolean;
  /** Requests per window. */
  limit: number;
  remaining: number;
  /** Until there is room again; 0 when there is. */
  retryAfterMs: number;
};

/** Who may ask, and how often. */
export type AccessPorts = {
  /** By the Authorization header. @throws Failure `unauthenticated`; `unavailable` when it cannot be told. */
  authenticate(headers: Readonly<Record<string, string | undefined>>): Promise<Principal>;
  /** Counts the request. Never throws: without Redis it goes by what this process has seen. */
  limit(principal: Principal, what: 'read' | 'write' | 'export'): Promise<LimitAnswer>;
  /** A guess that `limit` will let the next one in. Without it nothing is begun before `limit` has answered. */
  hasRoom?(principal: Principal, what: 'read'): boolean;
};

/** What the routes are made of. A noun's routes take those they need: `Pick<ApiPorts, 'database'>`. */
export type ApiPorts = {
  database: Database;
  cache: Cache;
  log: Log;
  /** `source` of our own events. */
  eventSource: string;
  /** What an instance is given when a caller does not say. */
  defaults: { imageId: string; clusterId: string; language: string };
  /** Aborted when the process begins to drain: what lasts ends then. */
  draining: AbortSignal;
  /** Sends dead events again. */
  replay: ReplayParts;
  isRedisReachable(): Promise<boolean>;
  /** Finds the proofs of customers' hosts. */
  resolver: DomainResolver;
  /** Takes a revoked API key no longer, in this process at once. */
  forgetKey(keyId: string): void;
  /** What wraps the secrets of customers' endpoints, and where endpoints may be. */
  webhooks: { secrets: Pick<SecretWrapper, 'wrap'>; targets: TargetPolicy };
  /** Publishes what was committed to the outbox. Never throws. */
  flush(): Promise<void>;
};
