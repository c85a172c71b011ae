import { join } from 'node:path';
import type { ProcessGroup } from '#shared/sandbox/processes.ts';
import { type PgBouncer, startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { type PostgresServer, startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { type RedisServer, startRedis } from '#shared/sandbox/servers/redis.ts';
import { platform, prepareOdooServer, preparePlatform } from './databases.ts';
import type { FleetMemory } from './memory.ts';

/** The private servers of a fleet. */
export type FleetServers = {
  /** Holds the platform's records; functions reach it through `bouncer` only. */
  platform: PostgresServer;
  bouncer: PgBouncer;
  /** The first of the Odoo servers. */
  odoo: PostgresServer;
  odooServers: readonly PostgresServer[];
  /** For verifications of backups; there only when asked for. */
  verification: PostgresServer | undefined;
  redis: RedisServer;
  stop(): Promise<void>;
};

/** Starts both PostgreSQL servers, PgBouncer and Redis, with roles, databases and tables. */
export async function startServers(options: {
  folder: string;
  processes: ProcessGroup;
  memory: FleetMemory;
  durable?: boolean;
  postgresSettings?: Record<string, string>;
  odooServers?: number;
  hasVerificationServer?: boolean;
  /** False leaves the platform's database empty, for whoever brings its tables. Default true. */
  isMigrated?: boolean;
}): Promise<FleetServers> {
  const { folder, processes, memory, isMigrated = true } = options;
  const shared = {
    processes,
    folder: join(folder, 'postgres'),
    durable: options.durable ?? true,
    ...(options.postgresSettings === undefined ? {} : { settings: options.postgresSettings }),
  };
  const startOdoo = (index: number) => {
    const port = memory.odooPostgresPorts?.[index];
    const name = index === 0 ? 'odoo' : `odoo-${index + 1}`;
    return startPostgres({ ...shared, name, ...(port === undefined ? {} : { port }) });
  };
  const verificationPort = memory.verificationPort === undefined ? {} : { port: memory.verificationPort };
  const [records, odoo, others, redis, verification] = await Promise.all([
    startPostgres({ ...shared, name: 'platform' }),
    startOdoo(0),
    Promise.all(Array.from({ length: (options.odooServers ?? 1) - 1 }, (_, index) => startOdoo(index + 1))),
    startRedis({ processes, folder: join(folder, 'redis'), password: memory.redisPassword }),
    options.hasVerificationServer === true
      ? startPostgres({ ...shared, name: 'verification', ...verificationPort })
      : Promise.resolve(undefined),
  ]);
  const odooServers = [odoo, ...others];
  const withAdmin = verification === undefined ? odooServers : [...odooServers, verification];
  const [, , bouncer] = await Promise.all([
    preparePlatform(records, memory.platformPassword, { isMigrated }),
    Promise.all(withAdmin.map((server) => prepareOdooServer(server, memory.odooAdminPassword))),
    startPgBouncer({
      processes,
      folder: join(folder, 'pgbouncer'),
      target: { host: records.host, port: records.port },
      users: [{ name: platform.user, password: memory.platformPassword }],
    }),
  ]);
  return {
    platform: records,
    bouncer,
    odoo,
    odooServers,
    verification,
    redis,
    async stop() {
      await bouncer.stop();
      await Promise.all([records.stop(), redis.stop(), ...withAdmin.map((server) => server.stop())]);
    },
  };
}
