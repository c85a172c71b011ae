import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { backupFolderOf, workerReference } from '#shared/sandbox/fleet/backups.ts';
import { platform } from '#shared/sandbox/fleet/databases.ts';
import type { Fleet } from '#shared/sandbox/fleet/start.ts';

/**
 * Writes what `npm run fleet` needs to know of a fleet on this machine: addresses, and paths of files with secrets.
 * @returns how it is called, for the person at the terminal.
 */
export async function writeCommandsFile({
  folder,
  servers,
  broker,
  functions,
}: Pick<Fleet, 'folder' | 'servers' | 'broker' | 'functions'>): Promise<string> {
  const secrets = join(folder, 'secrets');
  const settings = {
    PLATFORM_POSTGRES_HOST: servers.bouncer.host,
    PLATFORM_POSTGRES_PORT: servers.bouncer.port,
    PLATFORM_POSTGRES_DIRECT_HOST: servers.platform.host,
    PLATFORM_POSTGRES_DIRECT_PORT: servers.platform.port,
    PLATFORM_POSTGRES_DB: platform.database,
    PLATFORM_POSTGRES_USER: platform.user,
    PLATFORM_POSTGRES_PASSWORD_FILE: join(secrets, 'platform-postgres'),
    BROKER_URL: broker.url,
    BACKUP_STORE: backupFolderOf(folder),
    BACKUP_KEYS_FILE: join(secrets, 'backup-keys'),
    WORKER_IMAGE: workerReference,
    DOWNLOAD_URL: functions.url('download'),
  };
  const file = join(folder, 'commands.env');
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  await writeFile(file, lines.join(''));
  const shown = relative(process.cwd(), file);
  return `npm run fleet -- --settings ${shown.startsWith('..') ? file : shown}`;
}
