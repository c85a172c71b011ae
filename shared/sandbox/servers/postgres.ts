import { execFile } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { removeTree, withCacheEntry } from '../cache-folder.ts';
import type { ProcessGroup } from '../processes.ts';
import { generatePassword } from './password.ts';
import { findPostgres, type PostgresBinaries } from './postgres-binaries.ts';
import { isReachable, ownBy, privateFolder, reachableFolder, type SystemUser, serviceUser } from './service-user.ts';
import { startServer } from './start-server.ts';

const run = promisify(execFile);

export type PostgresOptions = {
  processes: ProcessGroup;
  /** Data lies in `<folder>/<name>`, or under /var/tmp where the server's user cannot reach that. It is kept. */
  folder: string;
  name: string;
  /** `embedded` is npm's PostgreSQL 18. */
  version?: 'system' | 'embedded';
  /** Server settings on top of ours, such as `log_statement: 'all'`. */
  settings?: Record<string, string>;
  /** Tried first: what was told the port before finds the server again. */
  port?: number;
  /** False gives up crash safety for speed: for tests. */
  durable?: boolean;
};

export type PostgresServer = {
  host: '127.0.0.1';
  port: number;
  superuser: 'postgres';
  superuserPassword: string;
  binFolder: string;
  version: string;
  logFile: string;
  stop(): Promise<void>;
  /** Same port, same data. `signal` SIGKILL is a crash, SIGQUIT an immediate shutdown. */
  restart(options?: { signal?: NodeJS.Signals }): Promise<void>;
};

/** Starts a private PostgreSQL on 127.0.0.1 with SCRAM-SHA-256 passwords, and resolves when it answers a query. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { processes, name } = options;
  const user = await serviceUser();
  const folder = await reachableFolder(join(options.folder, name), user);
  const binaries = await findPostgres(options.version ?? 'system', { user, copyTo: folder });
  await privateFolder(folder, user);
  const data = join(folder, `data-${binaries.version.split('.')[0]}`);
  const logFile = join(folder, 'log');
  const superuserPassword = await ensureData({ data, binaries, user, folder });

  const server = await startServer({
    processes,
    ...(options.port === undefined ? {} : { port: options.port }),
    async specFor(port) {
      const settings = { ...SETTINGS, ...(options.durable === false ? NOT_DURABLE : {}), ...options.settings };
      return {
        name: `PostgreSQL ${name}`,
        command: join(binaries.binFolder, 'postgres'),
        args: [
          '-D',
          data,
          '-p',
          String(port),
          ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
        ],
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', PGDATA: data },
        cwd: folder,
        logFile,
        // "fast": ends the sessions instead of waiting for them
        stopSignal: 'SIGINT',
        ...(user === undefined ? {} : { user }),
      };
    },
    async isReady(port) {
      await query({ port, password: superuserPassword }, 'SELECT 1');
    },
  });
  return {
    host: '127.0.0.1',
    port: server.port,
    superuser: 'postgres',
    superuserPassword,
    ...binaries,
    logFile,
    stop: server.stop,
    restart: server.restart,
  };
}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  password_encryption: 'scram-sha-256',
  max_connections: '200',
  shared_buffers: '64MB',
  log_line_prefix: '%m [%p] %q%u@%d %a ',
  timezone: 'UTC',
};
const NOT_DURABLE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

async function query(server: { port: number; password: string }, text: string): Promise<void> {
  const client = new Client({
    host: '127.0.0.1',
    port: server.port,
    user: 'postgres',
    password: server.password,
    database: 'postgres',
    connectionTimeoutMillis: 2000,
  });
  client.on('error', () => undefined); // the query that meets it reports it
  try {
    await client.connect();
    await client.query(text);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Makes the data folder where it is missing; returns the superuser's password, which is random per folder. */
async function ensureData(place: {
  data: string;
  binaries: PostgresBinaries;
  user: SystemUser | undefined;
  folder: string;
}): Promise<string> {
  const { data, binaries, user, folder } = place;
  const passwordFile = `${data}.password`;
  // written last: a run that was killed in between has left nothing of worth
  const known = await readFile(passwordFile, 'utf8').catch(() => undefined);
  if (known !== undefined) return known;
  await removeTree(data);
  const template = await initialData(binaries, user);
  await privateFolder(data, undefined);
  await run('tar', ['-C', data, '-xf', template]);
  await writeFile(join(data, 'pg_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n');
  await ownBy(data, user);
  const password = generatePassword();
  await alterSuperuser({ data, binaries, user, folder }, password);
  await writeFile(passwordFile, password, { mode: 0o600 });
  return password;
}

/** initdb's result as a tar file in the cache: unpacking takes a tenth of initdb's time. The superuser has no password there. */
async function initialData(binaries: PostgresBinaries, user: SystemUser | undefined): Promise<string> {
  const entry = await withCacheEntry(`postgres/initdb-${binaries.version}`, async (making) => {
    // the cache may be where the server's user cannot go
    const folder = await mkdtemp(join(await reachableTemporary(user), 'initdb-'));
    try {
      await ownBy(folder, user);
      const args = ['-D', folder, '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync', '--auth=reject'];
      await run(join(binaries.binFolder, 'initdb'), args, {
        ...user,
        cwd: '/',
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
      }).catch(explain('initdb failed'));
      await run('tar', ['-C', folder, '--owner=0', '--group=0', '-cf', join(making, 'data.tar'), '.']);
    } finally {
      await removeTree(folder);
    }
  });
  return join(entry, 'data.tar');
}

async function reachableTemporary(user: SystemUser | undefined): Promise<string> {
  return user === undefined || (await isReachable(tmpdir(), user)) ? tmpdir() : '/var/tmp';
}

/** Single-user mode reads statements from stdin: the password is in no argument, no environment and no log. */
async function alterSuperuser(
  place: { data: string; binaries: PostgresBinaries; user: SystemUser | undefined; folder: string },
  password: string,
): Promise<void> {
  const { data, binaries, user, folder } = place;
  const alone = run(
    join(binaries.binFolder, 'postgres'),
    ['--single', '-D', data, '-c', 'fsync=off', '-c', 'password_encryption=scram-sha-256', 'postgres'],
    { ...user, cwd: folder, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' } },
  );
  alone.child.stdin?.end(`ALTER ROLE postgres PASSWORD '${password}'\n`);
  await alone.catch(explain('PostgreSQL did not start in single-user mode'));
}

function explain(what: string): (cause: Error & { stderr?: string }) => never {
  return (cause) => {
    throw new Error(`${what}: ${cause.stderr?.trim() || cause.message}`, { cause });
  };
}
