import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { workerReference } from './backups.ts';
import { platform } from './databases.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Where a function finds everything, in the sandbox as in a cluster: addresses by variables, secrets by files. */
export type FunctionSurroundings = {
  secretsFolder: string;
  bouncer: { host: string; port: number };
  redis: { host: string; port: number };
  brokerUrl: string;
  kubeconfigFile: string;
  tenantConnectTo: string;
  functionUrl: string;
  /** Where dead letters wait while the platform's database is away. */
  spoolFolder: string;
  /** Where mails are put as files, unless `extra` names a mail server. */
  mailFolder: string;
  /** The directory store of backups. */
  backupFolder: string;
  /** The tick asks for the backups and verifications that are due, and removes what retention gives up. */
  schedulesBackups: boolean;
  /** Settings on top: shorter leases, a log level. */
  extra: Record<string, string>;
};

/** Where a fleet's mails are, a file each. */
export function mailFolderOf(fleetFolder: string): string {
  return join(fleetFolder, 'mails');
}

/** Writes secrets as files that only their owner reads, as mounted Secrets are. */
export async function writeSecretFiles(folder: string, values: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(values)) {
    const file = join(folder, name);
    await mkdir(join(file, '..'), { recursive: true, mode: 0o700 });
    await writeFile(file, value, { mode: 0o600 });
    await chmod(file, 0o600);
  }
}

/** The program of a function: its own `main.ts` under Node, with nothing of our environment. */
export function functionProgram(
  name: string,
  surroundings: FunctionSurroundings,
): { command: string; args: string[]; env: Record<string, string> } {
  const { secretsFolder, bouncer, redis, extra } = surroundings;
  return {
    command: process.execPath,
    args: [join(root, 'functions', name, 'main.ts')],
    env: {
      PATH: '/usr/bin:/bin',
      NODE_ENV: 'production',
      NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compile'),
      FUNCTION_TARGET: name,
      PLATFORM_POSTGRES_HOST: bouncer.host,
      PLATFORM_POSTGRES_PORT: String(bouncer.port),
      PLATFORM_POSTGRES_DB: platform.database,
      PLATFORM_POSTGRES_USER: platform.user,
      PLATFORM_POSTGRES_PASSWORD_FILE: join(secretsFolder, 'platform-postgres'),
      REDIS_HOST: redis.host,
      REDIS_PORT: String(redis.port),
      REDIS_PASSWORD_FILE: join(secretsFolder, 'redis'),
      ODOO_POSTGRES_PASSWORDS_DIR: join(secretsFolder, 'db-servers'),
      BROKER_URL: surroundings.brokerUrl,
      KUBECONFIG: surroundings.kubeconfigFile,
      TENANT_CONNECT_TO: surroundings.tenantConnectTo,
      FUNCTION_URL: surroundings.functionUrl,
      DEAD_LETTER_SPOOL_DIR: surroundings.spoolFolder,
      // without a place for backups the tick does nothing about them
      ...(name !== 'reconcile' || surroundings.schedulesBackups ? { BACKUP_STORE: surroundings.backupFolder } : {}),
      BACKUP_KEYS_FILE: join(secretsFolder, 'backup-keys'),
      WEBHOOK_KEYS_FILE: join(secretsFolder, 'webhook-keys'),
      // receivers of tests are on this machine
      WEBHOOK_TARGETS: 'any',
      MAIL_DIR: surroundings.mailFolder,
      API_URL: surroundings.functionUrl.replace('{function}', 'api'),
      WORKER_IMAGE: workerReference,
      // Whoever plays with a fleet on his own machine may say everything; `extra` may be stricter.
      SOURCES_POLICY: 'open',
      ...extra,
    },
  };
}
