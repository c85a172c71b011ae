import type { Database } from '#shared/adapters/postgres/database.ts';
import { type OpenDatabaseOptions, openDatabase } from '#shared/adapters/postgres/pool.ts';
import type { Config } from './config.ts';
import type { platformDatabase } from './rows.ts';

/** Opens the platform's own records as the settings say it. */
export function openPlatformDatabase(
  config: Config<Omit<typeof platformDatabase, 'databasePoolMax'>>,
  options: Required<Pick<OpenDatabaseOptions, 'applicationName' | 'maxConnections' | 'onError'>>,
): Database {
  return openDatabase({
    driver: config.databaseDriver,
    host: config.platformHost,
    port: config.platformPort,
    database: config.platformDatabase,
    user: config.platformUser,
    password: config.platformPassword,
    sslMode: config.platformSslMode,
    ...(config.neonWebSocketUrl === undefined ? {} : { webSocketUrl: config.neonWebSocketUrl }),
    ...options,
  });
}
