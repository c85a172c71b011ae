import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { request } from 'undici';
import { type Fleet, tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import type { ClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { listObjects, queryAsSuperuser } from './fleet-traces.ts';

/** A generated value that must be nowhere but at its home, and a name for it that may be printed. */
export type KnownSecret = { name: string; value: string };

/** The values of all Secrets of the cluster since the start, those of deleted ones included. */
export type SecretsSeen = { values(): KnownSecret[]; stop(): Promise<void> };

/** A fleet whose Secrets were watched from its start. */
type WatchedFleet = Fleet & { cluster: ClusterClient; secretsSeen: SecretsSeen };

/** Where a secret was found, by names only. */
export type Leak = { secret: string; place: string };

export type SecretScan = {
  leaks: Leak[];
  /** How many values were looked for, in how many places, and how many bytes those have. */
  searched: { secrets: number; places: number; bytes: number };
};

const secretsPath = `/api/v1/namespaces/${tenantNamespace}/secrets`;

/** Notes every value from now on, and those that are there. */
export async function watchSecrets(cluster: ClusterClient): Promise<SecretsSeen> {
  const seen = new Map<string, KnownSecret>();
  const stopping = new AbortController();
  const note = (object: Record<string, unknown>): void => {
    const { metadata, data = {} } = object as { metadata: { name: string }; data?: Record<string, string> };
    for (const [key, encoded] of Object.entries(data)) {
      for (const one of secretsIn(key, Buffer.from(encoded, 'base64').toString())) {
        seen.set(one.value, { name: `${metadata.name} ${one.name}`, value: one.value });
      }
    }
  };
  const { body } = await cluster.request('GET', secretsPath);
  const { items, metadata } = body as unknown as {
    items: Record<string, unknown>[];
    metadata: { resourceVersion: string };
  };
  items.forEach(note);
  const path = `${secretsPath}?watch=true&timeoutSeconds=3600&resourceVersion=${metadata.resourceVersion}`;
  const changes = await cluster.watch(path, stopping.signal);
  const following = (async () => {
    for await (const { object } of changes) note(object);
  })().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
  });
  return {
    values: () => [...seen.values()],
    async stop() {
      stopping.abort();
      await following;
    },
  };
}

/** The passwords in one value of a Secret: the value itself, or those of an odoo.conf. */
function secretsIn(key: string, text: string): KnownSecret[] {
  if (!text.includes('\n')) return [{ name: key, value: text }];
  const lines = [...text.matchAll(/^(db_password|admin_passwd)\s*=\s*(\S+)\s*$/gm)];
  return lines.map(([, name = '', value = '']) => ({ name, value }));
}

/**
 * Looks for every generated secret of a fleet, plain, in base64 and in hexadecimal, in all logs and files of the fleet
 * but the Secrets' own homes, all rows of the platform's tables, the numbers of all functions, all objects of the
 * cluster but Secrets, and the command lines and environments of all its processes.
 */
export async function scanForSecrets(fleet: WatchedFleet): Promise<SecretScan> {
  const secrets = await knownSecrets(fleet);
  const needles = secrets.flatMap(({ name, value }) => formsOf(value).map((form) => ({ name, form })));
  const scan: SecretScan = { leaks: [], searched: { secrets: secrets.length, places: 0, bytes: 0 } };
  const look = (place: string, text: string): void => {
    scan.searched.places += 1;
    scan.searched.bytes += text.length;
    for (const { name, form } of needles) {
      if (text.includes(form) && !scan.leaks.some((leak) => leak.secret === name && leak.place === place)) {
        scan.leaks.push({ secret: name, place });
      }
    }
  };
  for (const name of ['provision', 'observe', 'reconcile']) {
    look(`numbers of ${name}`, await readMetrics(fleet, name));
  }
  for (const { kind, name, object } of await listObjects(fleet.cluster)) {
    if (kind !== 'Secret') look(`object ${kind}/${name}`, JSON.stringify(object));
  }
  for (const { table, text } of await readTables(fleet)) look(`table ${table}`, text);
  for (const { place, text } of await readProcesses()) look(place, text);
  for (const file of await filesOf(fleet)) look(`file ${file.shown}`, (await readFile(file.path)).toString('latin1'));
  return scan;
}

/** As it is, in hexadecimal, and in base64 of a text it is part of: without the characters that depend on the rest. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const base64 = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]);
    return text.toString('base64').slice(Math.ceil((offset * 4) / 3), Math.floor(text.length / 3) * 4);
  });
  return [value, bytes.toString('hex'), ...base64];
}

async function knownSecrets(fleet: WatchedFleet): Promise<KnownSecret[]> {
  const memory = JSON.parse(await readFile(join(fleet.folder, 'secrets', 'memory.json'), 'utf8')) as object;
  const passwords = Object.entries(memory).flatMap(([name, value]) =>
    typeof value === 'string' ? [{ name, value }] : [],
  );
  const { platform, odoo, bouncer } = fleet.servers;
  return [
    ...fleet.secretsSeen.values(),
    ...passwords,
    { name: 'superuser of the platform server', value: platform.superuserPassword },
    { name: 'superuser of the Odoo server', value: odoo.superuserPassword },
    { name: 'admin of PgBouncer', value: bouncer.adminPassword },
    ...(await databaseSecrets(fleet)),
  ].filter(({ value }) => value.length >= 12);
}

/** What the server itself made for each tenant: `database.secret` signs sessions. */
async function databaseSecrets({ servers: { odoo } }: WatchedFleet): Promise<KnownSecret[]> {
  const databases = await queryAsSuperuser<{ name: string }>(
    odoo,
    String.raw`select datname::text as name from pg_database where datname like 'odoo\_%' and datallowconn`,
  );
  const found: KnownSecret[] = [];
  for (const { name } of databases) {
    const text = `select value from ir_config_parameter where key = 'database.secret'`;
    // a database that is being made has no tables yet
    const rows = await queryAsSuperuser<{ value: string }>(odoo, text, { database: name }).catch(() => []);
    for (const { value } of rows) found.push({ name: `database.secret of ${name}`, value });
  }
  return found;
}

/** Of each process itself, beside its requests, as a collector asks; one that does not run is started by the question. */
async function readMetrics(fleet: WatchedFleet, name: string): Promise<string> {
  const running = fleet.functions.running().filter((one) => one.name === name && one.isReady);
  const texts = running.map(({ port }) => metricsAt(`http://127.0.0.1:${port}`));
  // one that was stopped just now has nothing to say
  const told = (await Promise.allSettled(texts)).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  return told.length > 0 ? told.join('\n') : await metricsAt(fleet.functions.url(name));
}

async function metricsAt(url: string): Promise<string> {
  const answer = await request(`${url}/metrics`);
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`${url}/metrics was answered ${answer.statusCode}.`);
  return text;
}

async function readTables(fleet: WatchedFleet): Promise<{ table: string; text: string }[]> {
  const { rows: tables } = await fleet.records.query<{ name: string }>(
    `select table_name::text as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`,
  );
  const read: { table: string; text: string }[] = [];
  for (const { name } of tables) {
    // bytea comes as hexadecimal, which is one of the forms looked for
    const { rows } = await fleet.records.query<{ text: string | null }>(
      `select string_agg(to_jsonb(t)::text, E'\n') as text from "${name}" as t`,
    );
    read.push({ table: name, text: rows[0]?.text ?? '' });
  }
  return read;
}

/** Command lines and environments of everything this process started. Those that end meanwhile are passed over. */
async function readProcesses(): Promise<{ place: string; text: string }[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const parent = /^\d+ \(.*\) \S (\d+)/s.exec(status)?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isOurs = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined && at > 1; at = parents.get(at))
      if (at === process.pid) return true;
    return false;
  };
  const found: { place: string; text: string }[] = [];
  for (const pid of [...parents.keys()].filter(isOurs)) {
    const program = await readlink(`/proc/${pid}/exe`).catch(() => '?');
    for (const what of ['cmdline', 'environ']) {
      const text = await readFile(`/proc/${pid}/${what}`, 'latin1').catch(() => '');
      found.push({ place: `${what} of ${program} (${pid})`, text });
    }
  }
  return found;
}

/**
 * Secrets' homes in the sandbox: mounted Secrets and passwords (`secrets`, pods' volumes), the API server's store,
 * the servers' own data and settings.
 */
const homes =
  /^(secrets|cluster\/api|cluster\/node\/pods|postgres\/[^/]+\/data[^/]*|pgbouncer\/users\.txt|redis\/redis\.conf)$/;

async function filesOf(fleet: WatchedFleet): Promise<{ path: string; shown: string }[]> {
  const files: { path: string; shown: string }[] = [];
  const visit = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const shown = relative(fleet.folder, path);
      if (homes.test(shown)) continue;
      if (entry.isDirectory()) await visit(path);
      else if (entry.isFile()) files.push({ path, shown });
    }
  };
  await visit(fleet.folder);
  const { platform, odoo, bouncer, redis } = fleet.servers;
  for (const { logFile } of [platform, odoo, bouncer, redis]) {
    // a server whose user cannot reach the folder has its log elsewhere
    if (!files.some(({ path }) => path === logFile)) files.push({ path: logFile, shown: logFile });
  }
  const sizes = await Promise.all(files.map(async ({ path }) => (await stat(path)).size));
  return files.filter((_, index) => (sizes[index] ?? 0) > 0);
}
