import type { PoolConfig } from 'pg';
import { withNumbers } from './type-parsers.ts';

/** What we use of a pooled client; `pg` and `@neondatabase/serverless` both have it. */
export type DriverClient = {
  query(text: string, values?: unknown[]): Promise<unknown>;
  /** True closes the connection instead of keeping it. */
  release(destroy?: boolean): void;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  removeListener(event: 'error', listener: (error: unknown) => void): unknown;
};

/** What we use of a pool. */
export type DriverPool = {
  connect(): Promise<DriverClient>;
  end(): Promise<void>;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
};

export type DriverOptions = {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  applicationName: string;
  maxConnections: number;
  connectTimeoutMs: number;
  /** libpq's words. `require` encrypts and does not ask whose certificate it is. */
  sslMode: 'disable' | 'require' | 'verify-full';
  /** PEM of the authority that signed the server's certificate, where the system does not know it. */
  sslRootCertificate?: string;
  /** Neon only: `ws://` or `wss://` address of the relay. Neon's own when missing. */
  webSocketUrl?: string;
};

/** Loads `pg`, and only that. */
export async function openPgPool(options: DriverOptions): Promise<DriverPool> {
  const { default: pg } = await import('pg');
  return new pg.Pool({ ...poolConfig(options), ssl: tlsOf(options), types: withNumbers(pg.types) });
}

/** Loads `@neondatabase/serverless`, and only that. TLS is the WebSocket's. */
export async function openNeonPool(options: DriverOptions): Promise<DriverPool> {
  const neon = await import('@neondatabase/serverless');
  const pool = new neon.Pool({ ...poolConfig(options), types: withNumbers(neon.types) } as ConstructorParameters<
    typeof neon.Pool
  >[0]);
  if (options.webSocketUrl !== undefined) {
    const relay = new URL(options.webSocketUrl);
    // set per client: the driver's global settings would reach other pools of the process
    pool.Client = class extends neon.Client {
      constructor(config?: ConstructorParameters<typeof neon.Client>[0]) {
        super(config);
        this.neonConfig.useSecureWebSocket = relay.protocol === 'wss:';
        this.neonConfig.wsProxy = (host, port) => `${relay.host}${relay.pathname}?address=${host}:${port}`;
        // "password" would send the password in clear before it was asked for; a server with SCRAM refuses that
        this.neonConfig.pipelineConnect = false;
      }
    };
  }
  return pool;
}

function poolConfig(options: DriverOptions) {
  return {
    host: options.host,
    port: options.port,
    database: options.database,
    user: options.user,
    password: options.password,
    application_name: options.applicationName,
    max: options.maxConnections,
    connectionTimeoutMillis: options.connectTimeoutMs,
    // Longer than the pauses between events, and than the minute or two after which Knative takes an idle pod away:
    // a kept connection answers in 0.13 ms, a new one in 4 (PgBouncer) to 6 ms.
    idleTimeoutMillis: 600_000,
    // so that a pod follows a bouncer that moved
    maxLifetimeSeconds: 3_600,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  } satisfies PoolConfig;
}

/** `pg`'s words for libpq's. */
export function tlsOf({
  sslMode,
  sslRootCertificate,
}: Pick<DriverOptions, 'sslMode' | 'sslRootCertificate'>): Exclude<PoolConfig['ssl'], undefined> {
  if (sslMode === 'disable') return false;
  const ca = sslRootCertificate === undefined ? {} : { ca: sslRootCertificate };
  return { rejectUnauthorized: sslMode === 'verify-full', ...ca };
}
