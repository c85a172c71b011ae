import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { ensureProgram } from '../packages.ts';
import type { ProcessGroup } from '../processes.ts';
import { generatePassword } from './password.ts';
import { ownBy, privateFolder, reachableFolder, serviceUser } from './service-user.ts';
import { startServer } from './start-server.ts';

export type PgBouncerOptions = {
  processes: ProcessGroup;
  /** Its configuration, and its log. */
  folder: string;
  target: { host: string; port: number };
  /** Who may connect; the same password is used towards the server. */
  users: readonly { name: string; password: string }[];
  poolMode?: 'transaction' | 'session';
  /** Server connections per database and user. */
  defaultPoolSize?: number;
  maxClientConn?: number;
};

export type PgBouncer = {
  host: '127.0.0.1';
  port: number;
  /** May use the admin console: database `pgbouncer`. */
  adminUser: 'pgbouncer_admin';
  adminPassword: string;
  logFile: string;
  stop(): Promise<void>;
  restart(options?: { signal?: NodeJS.Signals }): Promise<void>;
};

/** Starts a private PgBouncer on 127.0.0.1 that passes every database name on to `target`. */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  const program = await ensureProgram('pgbouncer', 'pgbouncer');
  const user = await serviceUser();
  const folder = await reachableFolder(options.folder, user);
  await privateFolder(folder, user);
  const logFile = join(folder, 'log');
  const admin = { name: 'pgbouncer_admin', password: generatePassword() } as const;
  const configFile = join(folder, 'pgbouncer.ini');
  const userFile = join(folder, 'users.txt');

  async function writePrivate(path: string, text: string): Promise<void> {
    await writeFile(path, text, { mode: 0o600 });
    await chmod(path, 0o600);
    await ownBy(path, user);
  }

  const server = await startServer({
    processes: options.processes,
    async specFor(port) {
      const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
      const lines = [...options.users, admin].map(({ name, password }) => `${quote(name)} ${quote(password)}\n`);
      await writePrivate(userFile, lines.join(''));
      await writePrivate(configFile, configuration({ ...options, port, userFile, adminUser: admin.name }));
      return {
        name: 'PgBouncer',
        command: program,
        args: [configFile],
        env: { PATH: '/usr/bin:/bin' },
        cwd: folder,
        logFile,
        ...(user === undefined ? {} : { user }),
      };
    },
    async isReady(port) {
      const client = new Client({
        host: '127.0.0.1',
        port,
        user: admin.name,
        password: admin.password,
        database: 'pgbouncer',
        connectionTimeoutMillis: 2000,
      });
      client.on('error', () => undefined); // the query that meets it reports it
      try {
        await client.connect();
        await client.query('SHOW VERSION');
      } finally {
        await client.end().catch(() => undefined);
      }
    },
  });
  return {
    host: '127.0.0.1',
    port: server.port,
    adminUser: admin.name,
    adminPassword: admin.password,
    logFile,
    stop: server.stop,
    restart: server.restart,
  };
}

function configuration(options: PgBouncerOptions & { port: number; userFile: string; adminUser: string }): string {
  const { target, poolMode = 'transaction', defaultPoolSize = 25, maxClientConn = 1000 } = options;
  return `[databases]
* = host=${target.host} port=${target.port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${options.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${options.userFile}
admin_users = ${options.adminUser}
pool_mode = ${poolMode}
default_pool_size = ${defaultPoolSize}
max_client_conn = ${maxClientConn}
; drivers send it with every connection; it changes nothing for us
ignore_startup_parameters = extra_float_digits
; a server that comes back is tried again soon
server_login_retry = 1
log_connections = 0
log_disconnections = 0
stats_period = 3600
`;
}
