import { Client, type ClientConfig, Pool, type PoolClient } from 'pg';
import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { inSpan } from '../tracing/spans.ts';
import { breaksConnection, refusalOfTenant, toFailure } from './errors.ts';
import { controlDatabase } from './object-names.ts';
import { openSemaphore } from './semaphore.ts';

/** A step of an operation has 20 s; a statement must end before it, and so must the wait for its answer. */
const statementTimeoutMs = 18_000;
const answerTimeoutMs = 19_000;
const lockTimeoutMs = 3_000;
const connectTimeoutMs = 5_000;
/** A holder that stands still in a transaction keeps a fence locked; this is when the server ends it. */
const idleInTransactionTimeoutMs = 30_000;
const unpooledConnections = 4;
const unpooledWaitMs = 10_000;
/** Idle control connections stay warm: a new one costs about 10 ms, which is the price of a whole claim. */
const idleTimeoutMs = 10 * 60_000;
/** A tenant can make any statement in his database slow, and it runs while the instance's fence is held. */
const tenantStatementTimeoutMs = 5_000;
const tenantAnswerTimeoutMs = 6_000;
const tenantLockTimeoutMs = 2_000;

const tenantTimeouts = {
  statement_timeout: tenantStatementTimeoutMs,
  query_timeout: tenantAnswerTimeoutMs,
  lock_timeout: tenantLockTimeoutMs,
};

/** The part of a pino logger this adapter uses. */
export type ServerLog = { warn(facts: object, message: string): void };

export type AccessOptions = {
  adminPassword: (secretKey: string) => string | undefined;
  log: ServerLog;
  applicationName: string;
  poolSize: number;
};

/** The ways to one Odoo server. Errors come out of both as Failures that end "Could not <doing>". */
export type ServerAccess = {
  readonly server: DatabaseServer;
  /** On a pooled connection to the control database. */
  control<T>(doing: string, work: (client: PoolClient) => Promise<T>): Promise<T>;
  /**
   * On a connection of its own, closed before this returns: an idle one would block RENAME, TEMPLATE and DROP.
   * Whoever needs `control` as well takes that first: one order, so that two callers cannot wait for each other.
   */
  unpooled<T>(doing: string, to: UnpooledTarget, work: (client: Client) => Promise<T>): Promise<T>;
  stats(): ServerStats;
  end(): Promise<void>;
};

export type UnpooledTarget = {
  database: string;
  /** Tells `takeOver` under which fence the session works. */
  applicationName?: string;
  /** The tenant's own login in place of the admin's, for work that his code may take part in. */
  tenant?: { role: string; password: string };
};

export type ServerStats = {
  total: number;
  idle: number;
  waiting: number;
  max: number;
  unpooled: number;
  unpooledWaiting: number;
  unpooledMax: number;
};

export function openServerAccess(server: DatabaseServer, options: AccessOptions): ServerAccess {
  const config = connectionConfig(server, options);
  const pool = new Pool({
    ...config,
    database: controlDatabase,
    max: options.poolSize,
    idleTimeoutMillis: idleTimeoutMs,
  });
  const onError = (error: Error) => {
    const failure = toFailure(error, 'keep a connection', server.id);
    options.log.warn({ server: server.id, code: failure.code }, failure.message);
  };
  pool.on('error', onError);
  // The pool listens only while a connection is idle. One that is terminated while a transaction holds it, which is
  // what takeOver does, would end the process.
  pool.on('connect', (client) => client.on('error', onError));
  const semaphore = openSemaphore(unpooledConnections, {
    waitTimeoutMs: unpooledWaitMs,
    what: `connection to Odoo server ${server.id}`,
  });

  return {
    server,
    control: (doing, work) =>
      inSpan(spanOf('control', server), async () => {
        let client: PoolClient | undefined;
        let isBroken = false;
        try {
          client = await pool.connect();
          return await work(client);
        } catch (error) {
          isBroken = breaksConnection(error);
          throw toFailure(error, doing, server.id);
        } finally {
          client?.release(isBroken);
        }
      }),
    unpooled: (doing, to, work) =>
      inSpan(spanOf(to.tenant === undefined ? 'unpooled' : 'tenant', server), () =>
        semaphore.use(() => withClient({ ...config, ...targetOf(to) }, { doing, server, tenant: to.tenant }, work)),
      ),
    stats: () => ({
      total: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
      max: options.poolSize,
      unpooled: semaphore.busy(),
      unpooledWaiting: semaphore.waiting(),
      unpooledMax: unpooledConnections,
    }),
    end: () => pool.end(),
  };
}

/** By the kind of connection: what is done on it may name databases, roles and what tenants have called things. */
function spanOf(way: string, { id }: DatabaseServer): Parameters<typeof inSpan>[0] {
  return {
    name: `odoo server, ${way} connection`,
    kind: 'client',
    attributes: { 'db.system.name': 'postgresql', 'fleet.server': id },
  };
}

function targetOf({ database, applicationName, tenant }: UnpooledTarget): ClientConfig {
  return {
    database,
    ...(applicationName !== undefined && { application_name: applicationName }),
    ...(tenant !== undefined && {
      user: tenant.role,
      password: tenant.password,
      ...tenantTimeouts,
    }),
  };
}

async function withClient<T>(
  config: ClientConfig,
  at: { doing: string; server: DatabaseServer; tenant: UnpooledTarget['tenant'] },
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client(config);
  let lost: Error | undefined;
  // the query that meets the loss reports it; between two queries nobody else would listen
  client.on('error', (error) => {
    lost = error;
  });
  try {
    await client.connect().catch((error: unknown) => {
      throw (at.tenant && refusalOfTenant(error, at.doing, at.tenant.role)) ?? error;
    });
    return await work(client);
  } catch (error) {
    throw toFailure(error, at.doing, at.server.id);
  } finally {
    // ends the session at once, whatever it is doing; a lost one has nothing to end
    if (lost === undefined) await client.end().catch(() => undefined);
  }
}

function connectionConfig(server: DatabaseServer, options: AccessOptions): ClientConfig {
  return {
    host: server.host,
    port: server.port,
    user: server.adminUser,
    // asked at every connection, so that a rotated password is taken without a restart
    password: () => {
      const password = options.adminPassword(server.secretKey);
      if (password !== undefined) return password;
      throw new Failure(
        'misconfigured',
        `There is no admin password for Odoo server ${server.id}: add key "${server.secretKey}" to the mounted Secret`,
      );
    },
    ssl: sslOf(server),
    application_name: options.applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: answerTimeoutMs,
    lock_timeout: lockTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    // A tenant's schema must not be on the path of the admin: an operator or function there would run with his rights.
    options: '-c search_path=pg_catalog',
    keepAlive: true,
  };
}

/** libpq's meaning of sslmode. `prefer` and `allow` protect nobody and are not accepted. */
function sslOf(server: DatabaseServer): NonNullable<ClientConfig['ssl']> {
  switch (server.sslMode) {
    case 'disable':
      return false;
    case 'require':
      return { rejectUnauthorized: false };
    case 'verify-ca':
      return { rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { rejectUnauthorized: true };
    default:
      throw new Failure(
        'misconfigured',
        `Odoo server ${server.id} has sslMode "${server.sslMode}"; use disable, require, verify-ca or verify-full`,
      );
  }
}
