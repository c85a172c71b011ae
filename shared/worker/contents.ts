import type { Client } from 'pg';
import type { BackupManifest, DatabaseContents } from '#shared/domain/backup/manifest.ts';
import { coreTables } from './core-tables.ts';

/** So many tables are counted by one statement: a database of Odoo has 600. */
const tablesPerStatement = 40;
const hashedOfLargeObject = 64 * 1024 * 1024;

// `pg_temp_…` and `pg_toast` are no schemas of a dump, and what an extension owns comes with it.
const isOurs = (catalogue: string, id: string, schema: string) =>
  `${schema} NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = '${catalogue}'::regclass AND objid = ${id} AND deptype = 'e')`;

/**
 * What is in the database, as the transaction of the session sees it. Nothing of it runs code that a tenant may have put
 * there with more rights than his: only tables are read, their own rows, and no cast of his is used.
 */
export async function readContents(
  client: Client,
  onProgress: () => void = () => undefined,
): Promise<DatabaseContents> {
  const names = await tableNames(client);
  const isCore = (name: string) => coreTables.includes(name.replace(/^public\./, ''));
  const counts = new Map<string, number>();
  const hashes: DatabaseContents['hashes'] = [];
  for (const table of names.filter(isCore)) {
    // counted by the same scan
    const hash = await hashOf(client, `SELECT md5(concat(fleet_row)) AS h FROM ONLY ${table} fleet_row`);
    hashes.push({ table, hash });
    counts.set(table, Number(hash.split('.')[0]));
    onProgress();
  }
  const others = names.filter((name) => !isCore(name));
  for (let at = 0; at < others.length; at += tablesPerStatement) {
    await countRows(client, others.slice(at, at + tablesPerStatement), counts);
    onProgress();
  }
  const tables = names.map((name) => ({ name, rows: counts.get(name) ?? 0 }));
  return {
    tables,
    hashes,
    attachments: await readAttachments(client),
    largeObjects: await readLargeObjects(client),
    schema: await readSchema(client),
    extensions: await readExtensions(client),
  };
}

async function tableNames(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', nspname, relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind = 'r' AND relpersistence <> 't' AND ${isOurs('pg_class', 'c.oid', 'relnamespace')}`,
  );
  // by code units, as no locale sorts: equal on every server
  return rows.map(({ name }) => name).toSorted();
}

async function countRows(client: Client, names: readonly string[], counts: Map<string, number>): Promise<void> {
  const texts = names.map((name, at) => `SELECT ${at} AS at, count(*)::text AS rows FROM ONLY ${name}`);
  const { rows } = await client.query<{ at: number; rows: string }>(texts.join(' UNION ALL '));
  for (const { at, rows: count } of rows) counts.set(names[at] ?? '', Number(count));
}

/**
 * Two sums over the halves of md5: the order of rows does not matter, and a row that is there twice counts twice, which it
 * would not with XOR. It finds what was lost or changed; who could forge it could sign what he likes as well.
 */
async function hashOf(client: Client, rowsWithH: string): Promise<string> {
  const half = (from: number) => `coalesce(sum(('x' || substr(h, ${from}, 15))::bit(60)::bigint), 0)::text`;
  const { rows } = await client.query<{ hash: string }>(
    `SELECT count(*) || '.' || ${half(1)} || '.' || ${half(17)} AS hash FROM (${rowsWithH}) hashed`,
  );
  return rows[0]?.hash ?? '';
}

/** Is it a table of Odoo's, with these columns? A view of that name would be a tenant's program. */
async function isTable(client: Client, name: string, columns: readonly string[]): Promise<boolean> {
  const { rows } = await client.query<{ found: number }>(
    `SELECT count(*)::int AS found FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
     WHERE c.oid = to_regclass($1) AND relkind = 'r' AND attname = ANY ($2) AND NOT attisdropped`,
    [`public.${name}`, columns],
  );
  return rows[0]?.found === columns.length;
}

async function hasAttachments(client: Client): Promise<boolean> {
  return isTable(client, 'ir_attachment', ['id', 'store_fname', 'checksum', 'file_size']);
}

async function readAttachments(client: Client): Promise<DatabaseContents['attachments']> {
  if (!(await hasAttachments(client))) return { count: 0, inFiles: 0, files: 0, hash: '' };
  const { rows } = await client.query<{ count: number; inFiles: number; files: number }>(
    `SELECT count(*)::int AS count, count(store_fname)::int AS "inFiles", count(DISTINCT store_fname)::int AS files
     FROM ONLY public.ir_attachment`,
  );
  const hash = await hashOf(
    client,
    `SELECT md5(concat_ws('|', id, store_fname, checksum, file_size)) AS h FROM ONLY public.ir_attachment
     WHERE store_fname IS NOT NULL`,
  );
  return { ...(rows[0] ?? { count: 0, inFiles: 0, files: 0 }), hash };
}

/** A file that attachments name, and one of them. */
export type AttachedFile = { file: string; attachment: number };

/** The files in the filestore that the attachments name, each once. */
export async function attachedFiles(client: Client): Promise<AttachedFile[]> {
  if (!(await hasAttachments(client))) return [];
  const { rows } = await client.query<AttachedFile>(
    `SELECT store_fname AS file, min(id)::int AS attachment FROM ONLY public.ir_attachment
     WHERE store_fname IS NOT NULL GROUP BY store_fname ORDER BY store_fname`,
  );
  return rows;
}

async function readLargeObjects(client: Client): Promise<DatabaseContents['largeObjects']> {
  const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM pg_largeobject_metadata');
  const hash = await hashOf(
    client,
    `SELECT md5(concat(oid, '|', md5(lo_get(oid, 0, ${hashedOfLargeObject})))) AS h FROM pg_largeobject_metadata`,
  );
  return { count: rows[0]?.count ?? 0, hash };
}

async function readSchema(client: Client): Promise<DatabaseContents['schema']> {
  const relations = (kinds: string) =>
    `SELECT count(*)::int FROM pg_class c WHERE relkind IN (${kinds}) AND relpersistence <> 't'
       AND ${isOurs('pg_class', 'c.oid', 'relnamespace')}`;
  const ofTable = (table: string) =>
    `EXISTS (SELECT FROM pg_class c WHERE c.oid = ${table} AND relpersistence <> 't'
       AND ${isOurs('pg_class', 'c.oid', 'relnamespace')})`;
  const { rows } = await client.query<DatabaseContents['schema']>(
    // A dump leaves out indexes that are not valid. NOT NULL is a constraint (`n`) from 18 on, and none before.
    `SELECT (SELECT count(*)::int FROM pg_index WHERE indisvalid AND ${ofTable('indrelid')}) AS indexes,
       (SELECT count(*)::int FROM pg_constraint WHERE contype <> 'n' AND conrelid <> 0 AND ${ofTable('conrelid')}) AS constraints,
       (${relations("'S'")}) AS sequences,
       (${relations("'v', 'm'")}) AS views,
       (SELECT count(*)::int FROM pg_proc p WHERE ${isOurs('pg_proc', 'p.oid', 'pronamespace')}) AS functions,
       (SELECT count(*)::int FROM pg_trigger WHERE NOT tgisinternal AND ${ofTable('tgrelid')}) AS triggers`,
  );
  return rows[0] ?? { indexes: 0, constraints: 0, sequences: 0, views: 0, functions: 0, triggers: 0 };
}

async function readExtensions(client: Client): Promise<DatabaseContents['extensions']> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT extname::text AS name FROM pg_extension WHERE extname <> 'plpgsql'`,
  );
  return rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** What Odoo says of itself; null and none where it is not in this database. */
export async function readModules(client: Client): Promise<Pick<BackupManifest, 'odooVersion' | 'modules'>> {
  if (!(await isTable(client, 'ir_module_module', ['name', 'state', 'latest_version']))) {
    return { odooVersion: null, modules: [] };
  }
  const { rows } = await client.query<{ name: string; version: string }>(
    `SELECT name::text, coalesce(latest_version, '')::text AS version FROM ONLY public.ir_module_module
     WHERE state IN ('installed', 'to upgrade', 'to remove')`,
  );
  const modules = rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { odooVersion: modules.find(({ name }) => name === 'base')?.version ?? null, modules };
}
