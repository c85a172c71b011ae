import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import type { Image } from '#shared/sandbox/image.ts';
import { launchSpec } from '#shared/sandbox/kubernetes-node/launch.ts';
import { openProcessGroup, type ProcessExit, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';

/** A PostgreSQL and folders for the containers of one Odoo image, as the cluster would give them. */
export type OdooSite = Awaited<ReturnType<typeof openOdooSite>>;

/** A served Odoo. */
export type Served = { url: string; port: number; exited: Promise<ProcessExit>; stop(): Promise<ProcessExit> };

/** No other server listens here by chance: nothing but a program told so does. */
const INTERFACE = '127.45.6.7';
const TENANT = { user: 'tenant', password: 'tenant-1' };

/** What runs the containers instead of the site's own process group. */
export type ContainersIn = (
  processes: ProcessGroup,
  folder: string,
) => Promise<{ processes: ProcessGroup; stop(): Promise<void> }>;

/** `data`: the folder of its files. */
type ContainerOptions = {
  settings?: Record<string, string>;
  data?: string;
  environment?: Record<string, string>;
};

export async function openOdooSite(image: Image, containersIn?: ContainersIn) {
  const processes = await openProcessGroup();
  const folder = await mkdtemp(join(tmpdir(), 'odoo-'));
  const containers = await containersIn?.(processes, folder);
  await chmod(folder, 0o755);
  const postgres = await startPostgres({ processes, folder, name: 'postgres', durable: false });
  let count = 0;

  async function sql(database: string, text: string): Promise<Record<string, unknown>[]> {
    const { host, port, superuser: user, superuserPassword: password } = postgres;
    const client = new Client({ host, port, user, password, database });
    client.on('error', () => undefined); // the query that meets it reports it
    await client.connect();
    try {
      const result = await client.query(text);
      return result.rows;
    } finally {
      await client.end();
    }
  }

  /** As the platform makes them: owned by a role that cannot log in, the tenant owns what is inside. */
  async function createDatabase(database: string, template = 'template0'): Promise<void> {
    await sql('postgres', `create database ${database} template ${template} owner owner`);
    await sql('postgres', `revoke connect, temporary on database ${database} from public`);
    await sql('postgres', `grant connect on database ${database} to ${TENANT.user}`);
    await sql(database, `alter schema public owner to ${TENANT.user}`);
  }

  async function container(
    database: string,
    command: readonly string[],
    { settings = {}, data: given, environment = {} }: ContainerOptions = {},
  ) {
    const base = join(folder, `container-${++count}`);
    const [configuration, scratch] = [join(base, 'configuration'), join(base, 'scratch')];
    const data = given ?? join(base, 'data');
    await Promise.all([configuration, data, scratch].map((path) => mkdir(path, { recursive: true })));
    await writeFile(join(configuration, 'odoo.conf'), odooConf({ database, port: postgres.port, settings }));
    if (image.kind === 'root') await chown(data, image.user.uid, image.user.gid);
    const logFile = join(base, 'log');
    const started = await (containers?.processes ?? processes).start(
      launchSpec({
        name: `container ${count}`,
        container: {
          name: 'odoo',
          image: 'odoo',
          command: [...command],
          volumeMounts: [
            { name: 'configuration', mountPath: '/etc/odoo', readOnly: true },
            { name: 'data', mountPath: '/var/lib/odoo' },
          ],
        },
        image,
        environment,
        volumes: new Map([
          ['configuration', configuration],
          ['data', data],
        ]),
        hostName: 'odoo',
        user: undefined,
        fsGroup: undefined,
        logFile,
        scratchFolder: scratch,
        isRoot: process.getuid?.() === 0,
      }),
    );
    return { started, logFile };
  }

  /** Runs a command to its end. */
  async function run(
    database: string,
    command: readonly string[],
    options: ContainerOptions = {},
  ): Promise<{ code: number | null; output: string }> {
    const { started, logFile } = await container(database, command, options);
    const { code } = await started.exited;
    return { code, output: await readFile(logFile, 'utf8') };
  }

  /** Starts a server; `settings` go into its odoo.conf. Does not wait for it. */
  async function serve(
    database: string,
    settings: Record<string, string> = {},
    more: Pick<ContainerOptions, 'data' | 'environment'> = {},
  ): Promise<Served> {
    const port = await freePort();
    const command = ['odoo', '--config=/etc/odoo/odoo.conf', `--http-interface=${INTERFACE}`, `--http-port=${port}`];
    const { started } = await container(database, command, { settings, ...more });
    const stop = async () => {
      await started.stop({ graceMs: 15_000 });
      return started.exited;
    };
    return { url: `http://${INTERFACE}:${port}`, port, exited: started.exited, stop };
  }

  async function close(): Promise<void> {
    await containers?.stop();
    await processes.stopAll();
    await removeTree(folder);
  }

  await sql('postgres', 'create role owner nologin');
  await sql('postgres', `create role ${TENANT.user} login password '${TENANT.password}' nosuperuser nocreatedb`);
  return { sql, createDatabase, run, serve, close, folder, postgres };
}

function odooConf(options: { database: string; port: number; settings: Record<string, string> }): string {
  const values = {
    db_host: '127.0.0.1',
    db_port: String(options.port),
    db_user: TENANT.user,
    db_password: TENANT.password,
    db_sslmode: 'prefer',
    db_name: options.database,
    dbfilter: '',
    list_db: 'False',
    without_demo: 'True',
    admin_passwd: '',
    data_dir: '/var/lib/odoo',
    proxy_mode: 'True',
    gevent_port: '8072',
    workers: '0',
    max_cron_threads: '1',
    db_maxconn: '8',
    limit_memory_soft: '2147483648',
    limit_memory_hard: '2684354560',
    limit_time_cpu: '600',
    limit_time_real: '1200',
    limit_request: '8192',
    ...options.settings,
  };
  return `[options]\n${Object.entries(values)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')}`;
}

/** passlib's pbkdf2_sha512 with fewer rounds than Odoo 19 makes itself. */
export function oldHash(password: string): string {
  const encode = (bytes: Buffer) => bytes.toString('base64').replaceAll('+', '.').replace(/=+$/, '');
  const salt = randomBytes(16);
  return `$pbkdf2-sha512$25000$${encode(salt)}$${encode(pbkdf2Sync(password, salt, 25_000, 64, 'sha512'))}`;
}

/** The `result` of a JSON-RPC call, or the name of the exception. */
export async function jsonRpc(
  url: string,
  service: string,
  method: string,
  args: readonly unknown[],
): Promise<unknown> {
  const answer = await fetch(`${url}/jsonrpc`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', method: 'call', id: 1, params: { service, method, args } }),
  });
  const body = (await answer.json()) as { result?: unknown; error?: { data: { name: string } } };
  return body.error === undefined ? body.result : body.error.data.name;
}
