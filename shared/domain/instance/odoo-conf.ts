import { Failure } from '../failure.ts';
import type { DatabaseServer, Instance, Plan } from './instance.ts';
import { namesOf } from './names.ts';
import { customerSettings, refusalOf, type SettingValue } from './odoo-settings.ts';
import { isStaging, stagingMailSettings } from './staging.ts';

/** Ports of every Odoo container: the HTTP server, and the gevent process that runs when there are workers. */
export const odooPorts = { http: 8069, websocket: 8072 } as const;

/** Where an Odoo container keeps its filestore and sessions. */
export const odooDataFolder = '/var/lib/odoo';

/** One entry per key and refused value of a customer's settings; empty when all may be written. */
export function refuseSettings(settings: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(settings).flatMap(([key, value]) => {
    const reason = refusalOf(key, value);
    return reason === undefined ? [] : [reason];
  });
}

/**
 * odoo.conf of a running instance.
 *
 * `masterPasswordHash` is the pbkdf2_sha512 hash of `admin_passwd`, never the password.
 * The interface to listen on is not in it: the container gets `--http-interface` with its own address.
 *
 * `dbfilter` is empty on purpose. With a filter, Odoo (`service/db.py`, `list_dbs`; the same in 17, 18 and 19) offers only databases
 * that the connecting role *owns*, and ours belong to a NOLOGIN role: no page of the instance would find its database.
 * Without one it offers exactly `db_name`, for sessions, `?db=` and `X-Odoo-Database` alike, and asks PostgreSQL nothing.
 *
 * @throws Failure `misconfigured` when one of our own values would not survive the file (a line break, outer blanks).
 */
export function odooConf(options: {
  instance: Instance;
  databaseServer: DatabaseServer;
  databasePassword: string;
  masterPasswordHash: string;
  /** Folders with more modules in the image, before Odoo's own. */
  addonsPath?: readonly string[];
  mailRelay?: { host: string; port: number };
}): string {
  const { instance, databaseServer } = options;
  const { database, role } = namesOf(instance.id);
  const ours: Settings = {
    admin_passwd: options.masterPasswordHash,
    ...connectionSettings({ database, role, databaseServer, databasePassword: options.databasePassword }),
    ...(options.addonsPath?.length ? { addons_path: options.addonsPath.join(',') } : {}),
    ...(isStaging(instance) ? stagingMailSettings(instance) : mailSettings(options.mailRelay)),
    data_dir: odooDataFolder,
    proxy_mode: true,
    http_port: odooPorts.http,
    gevent_port: odooPorts.websocket,
    workers: instance.plan.workers,
    max_cron_threads: instance.plan.cronThreads,
    ...limitsOf(instance.plan),
  };
  return write({ ...permitted(instance.settings), ...ours });
}

function mailSettings(relay: { host: string; port: number } | undefined): Settings {
  return relay === undefined ? {} : { smtp_server: relay.host, smtp_port: relay.port };
}

/**
 * odoo.conf of a Job that works on one database and serves nobody: an initialisation or the build of a template.
 * The Job's program is run with `--no-http`. Its master password is nothing, which Odoo takes as "always refused".
 */
export function odooJobConf(options: {
  database: string;
  role: string;
  databaseServer: DatabaseServer;
  databasePassword: string;
  addonsPath?: readonly string[];
}): string {
  return write({
    admin_passwd: '',
    ...connectionSettings(options),
    ...(options.addonsPath?.length ? { addons_path: options.addonsPath.join(',') } : {}),
    data_dir: odooDataFolder,
    workers: 0,
    max_cron_threads: 0,
    // One process: a handful of cursors is all an installation takes.
    db_maxconn: 8,
  });
}

/**
 * Connections and memory per Odoo process, from the plan.
 *
 * `db_maxconn` is a limit per process, and the role's CONNECTION LIMIT holds for all of them together: the limit is shared out.
 * At least 4: with 3, cron and web requests of one process starve each other (odoo/odoo#31830). At most 64, Odoo's default.
 *
 * Memory limits count *virtual* memory of one process, which is several times what is resident. Odoo's deployment guide gives
 * 600 MiB soft and 1600 MiB hard as its sample; Odoo's defaults are 2048 and 2560 MiB. The soft limit is the process's share of the
 * plan, held between the two (a threaded server has the default: its many threads' stacks and arenas are mapped, not used);
 * the hard limit leaves a request a quarter more, and never less than the sample.
 *
 * Times and requests are the deployment guide's sample: 600 s CPU, 1200 s in all, 8192 requests.
 */
export function limitsOf(plan: Plan): Record<string, number> {
  const processes = processesPerPod(plan);
  const total = plan.replicas > 1 ? plan.replicas * (plan.workers > 0 ? plan.workers + 1 : 1) + 1 : processes;
  const softMib = plan.workers === 0 ? 2048 : clamp(Math.floor(plan.memoryMib / processes), 600, 2048);
  const hardMib = Math.max(1600, Math.floor(softMib * 1.25));
  return {
    db_maxconn: clamp(Math.floor(plan.databaseConnections / total), 4, 64),
    limit_memory_soft: softMib * MIB,
    limit_memory_hard: hardMib * MIB,
    limit_time_cpu: 600,
    limit_time_real: 1200,
    limit_request: 8192,
  };
}

/**
 * Environment of every Odoo container that connects to this server. Odoo hands only `sslmode` to libpq, and without a root
 * certificate libpq refuses every server under `verify-full`: `system` (libpq 16 and later) trusts the image's own
 * authorities. libpq accepts it with `verify-full` only.
 */
export function odooEnvironment(databaseServer: DatabaseServer): Readonly<Record<string, string>> {
  return databaseServer.sslMode === 'verify-full' ? { PGSSLROOTCERT: 'system' } : {};
}

const MIB = 1024 * 1024;

type Settings = Record<string, SettingValue>;

/** Processes that hold memory and connections in one pod: workers, the gevent process and crons, or one threaded server. */
function processesPerPod(plan: Plan): number {
  if (plan.workers === 0) return 1;
  const cronProcesses = plan.replicas > 1 ? 0 : plan.cronThreads;
  return plan.workers + 1 + cronProcesses;
}

function connectionSettings(options: {
  database: string;
  role: string;
  databaseServer: DatabaseServer;
  databasePassword: string;
}): Settings {
  return {
    db_host: options.databaseServer.host,
    db_port: options.databaseServer.port,
    db_user: options.role,
    db_password: options.databasePassword,
    db_sslmode: options.databaseServer.sslMode,
    db_name: options.database,
    dbfilter: '',
    list_db: false,
    without_demo: true,
  };
}

/**
 * What of a customer's settings may be written. Settings are checked when they are asked for; a row that was written by another
 * rule or by hand must neither open the file to a customer nor keep their Odoo from starting, so what is refused is left out.
 */
function permitted(settings: Readonly<Record<string, unknown>>): Settings {
  const entries = Object.entries(settings).filter(([key, value]) => refusalOf(key, value) === undefined);
  return Object.fromEntries(entries) as Settings;
}

function write(settings: Settings): string {
  const lines = Object.entries(settings).map(([key, value]) => {
    const text = typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value);
    if (!isOneLine(text)) {
      throw new Failure(
        'misconfigured',
        `odoo.conf: the value of ${key} has a line break, a control character or outer blanks`,
      );
    }
    return text === '' ? `${key} =` : `${key} = ${text}`;
  });
  return `[options]\n${lines.join('\n')}\n`;
}

/** Python reads the file line by line and trims values; nothing else in a value has a meaning to its RawConfigParser. */
function isOneLine(text: string): boolean {
  return !/[\p{Cc}\u2028\u2029]/u.test(text) && text === text.trim();
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

/** Settings a customer may choose, for documentation and forms. */
export const customerSettingNames: readonly string[] = Object.keys(customerSettings);
