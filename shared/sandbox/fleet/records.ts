import type { Database } from '#shared/adapters/postgres/database.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { platform } from './databases.ts';
import type { FleetServers } from './servers.ts';

/** The platform's records, for whoever watches a fleet from outside its functions. */
export type PlatformRecords = Database;

/** Opens the records through the fleet's PgBouncer, as a function does. */
export async function openRecords(servers: FleetServers, password: string): Promise<PlatformRecords> {
  return openDatabase({
    driver: 'pg',
    host: servers.bouncer.host,
    port: servers.bouncer.port,
    database: platform.database,
    user: platform.user,
    password,
    applicationName: 'sandbox',
    maxConnections: 8,
    // Whoever watches has time: a machine that stands still for seconds is not what is to be seen.
    connectTimeoutMs: 30_000,
    queryTimeoutMs: 30_000,
    sslMode: 'disable',
    // The next query opens a new connection; a server that stays away is told by that query's error.
    onError: () => undefined,
  });
}
