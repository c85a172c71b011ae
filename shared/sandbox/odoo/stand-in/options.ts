import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

/** What the command line and odoo.conf say together; the command line wins. */
export type Options = {
  command: 'server' | 'shell' | 'neutralize';
  database: string | undefined;
  init: readonly string[];
  languages: readonly string[];
  stopsAfterInit: boolean;
  isHttpEnabled: boolean;
  httpInterface: string;
  httpPort: number;
  dataFolder: string;
  cronThreads: number;
  listsDatabases: boolean;
  databaseFilter: string;
  connection: { host: string; port: number; user: string; password: string };
  maxConnections: number;
};

const FLAGS = ['stop-after-init', 'no-http', 'proxy-mode', 'no-database-list', 'with-demo', 'version'];
const VALUES = [
  'config c',
  'database d',
  'init i',
  'data-dir D',
  'http-interface',
  'http-port p',
  'gevent-port',
  'workers',
  'max-cron-threads',
  'without-demo',
  'load-language',
  'db-filter',
  'db_host',
  'db_port',
  'db_user r',
  'db_password w',
  'db_sslmode',
  'db_maxconn',
  'addons-path',
  'load',
  'log-level',
  'log-handler',
  'limit-memory-soft',
  'limit-memory-hard',
  'limit-request',
  'limit-time-cpu',
  'limit-time-real',
  'limit-time-real-cron',
];

/** @throws Error for an option that Odoo or the stand-in does not know, and for a configuration that cannot be read. */
export function readOptions(argv: readonly string[]): Options {
  const command = (['shell', 'neutralize'] as const).find((one) => one === argv[0]) ?? 'server';
  const { values } = parseArgs({
    args: argv.slice(argv[0] === command ? 1 : 0),
    allowPositionals: false,
    options: Object.fromEntries([
      ...FLAGS.map((name) => [name, { type: 'boolean' as const }]),
      ...VALUES.map((row) => {
        const [name = '', short] = row.split(' ');
        return [name, { type: 'string' as const, ...(short ? { short } : {}) }];
      }),
    ]),
  });
  const given = values as Record<string, string | boolean | undefined>;
  const file = typeof given['config'] === 'string' ? readConfiguration(given['config']) : new Map<string, string>();
  const text = (option: string, key: string, fallback: string): string => {
    const value = given[option];
    return typeof value === 'string' ? value : (file.get(key) ?? fallback);
  };
  const list = (value: string) => value.split(',').filter(Boolean);
  return {
    command,
    database: list(text('database', 'db_name', ''))[0],
    init: list(text('init', '', '')),
    languages: list(text('load-language', '', '')),
    stopsAfterInit: given['stop-after-init'] === true,
    isHttpEnabled: given['no-http'] !== true && isTrue(file.get('http_enable') ?? 'True'),
    httpInterface: text('http-interface', 'http_interface', '') || '0.0.0.0',
    httpPort: Number(text('http-port', 'http_port', '8069')),
    dataFolder: text('data-dir', 'data_dir', '/var/lib/odoo'),
    cronThreads: Number(text('max-cron-threads', 'max_cron_threads', '2')),
    listsDatabases: given['no-database-list'] !== true && isTrue(file.get('list_db') ?? 'True'),
    databaseFilter: text('db-filter', 'dbfilter', ''),
    connection: {
      host: text('db_host', 'db_host', '') || '127.0.0.1',
      port: Number(text('db_port', 'db_port', '') || 5432),
      user: text('db_user', 'db_user', ''),
      password: text('db_password', 'db_password', ''),
    },
    maxConnections: Number(text('db_maxconn', 'db_maxconn', '64')),
  };
}

function readConfiguration(path: string): Map<string, string> {
  const found = new Map<string, string>();
  let isOptions = false;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const section = /^\[(.*)\]/.exec(line)?.[1];
    if (section !== undefined) isOptions = section === 'options';
    const [, key, value] = /^([\w.]+)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    // Odoo writes None and False for "not set"
    if (isOptions && key !== undefined && value !== undefined) found.set(key, value === 'None' ? '' : value);
  }
  return found;
}

function isTrue(value: string): boolean {
  return /^(true|1|yes|on)$/i.test(value);
}
