import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { backups } from '#shared/runtime/backup-rows.ts';
import { type Config, defineConfig } from '#shared/runtime/config.ts';
import { platformDirect } from '#shared/runtime/platform-direct.ts';

const { workerImage: _workerImage, ...store } = backups;

/** The platform's database itself, not its bouncer, and where backups are. */
export const platformRows = defineConfig({ ...platformDirect, ...store });
export type PlatformConfig = Config<typeof platformRows>;

export function directAccess(config: PlatformConfig): DatabaseAccess {
  const { host, port, user, password, database, sslMode } = config;
  return { host, port, user, password, database, sslMode };
}
