import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import { needsJobKey } from '#shared/adapters/postgres/job-key-needs.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import {
  openPlatformManifest,
  type PlatformManifest,
  platformBackupId,
  platformKeyContext,
  platformKeys,
  signPlatformManifest,
} from '#shared/domain/platform/backup.ts';
import { takeSnapshot, writeDump } from '../dump.ts';
import { checkClientVersion, programEnvironment } from '../postgres-programs.ts';
import { serverVersion, withSession } from '../session.ts';
import { retrying } from '../store-files.ts';
import { allOrAbort, type TaskContext } from '../task.ts';

export type PlatformKeys = { wrapper: KeyWrapper; signer: Signer };

/**
 * Makes a backup of the platform's database: its dump, encrypted, then a signed manifest, which is read back. Without the
 * manifest there is no backup. `access` leads to PostgreSQL itself: a snapshot belongs to a session.
 * @throws Failure; nothing that was written until then counts.
 */
export async function makePlatformBackup(
  access: DatabaseAccess,
  context: TaskContext,
  { wrapper, signer }: PlatformKeys,
): Promise<PlatformManifest> {
  const { store, signal } = context;
  const startedAt = new Date();
  const id = platformBackupId(startedAt, randomBytes(4).toString('hex'));
  const dumpKey = randomBytes(32);
  const wrappedKey = await wrapper.wrap(dumpKey, platformKeyContext(id));
  const taken = await dumpRecords(access, context, { id, dumpKey });
  const manifest: PlatformManifest = {
    version: 1,
    id,
    startedAt: startedAt.toISOString(),
    ...taken,
    finishedAt: new Date().toISOString(),
    wrappedKey,
  };
  const bytes = signPlatformManifest(manifest, signer);
  const key = platformKeys(id).manifest;
  await retrying(signal, () => store.put(key, bytes, { onlyIfNew: true }));
  const stored = await retrying(signal, () => store.get(key));
  if (stored === undefined || !bytes.equals(stored)) {
    throw new Failure('damaged', `The manifest of platform backup ${id} is not in the store as it was written.`);
  }
  return openPlatformManifest(stored, { id, signer });
}

type Taken = Omit<PlatformManifest, 'version' | 'id' | 'startedAt' | 'finishedAt' | 'wrappedKey'>;

async function dumpRecords(
  access: DatabaseAccess,
  { store, folder, signal }: TaskContext,
  { id, dumpKey }: { id: string; dumpKey: Buffer },
): Promise<Taken> {
  return await withSession(access, signal, async (client) => {
    const postgres = await checkClientVersion('pg_dump', await serverVersion(client));
    const environment = await programEnvironment(access, folder);
    const snapshot = await takeSnapshot(client);
    const key = platformKeys(id).dump;
    const [written, facts] = await allOrAbort(signal, (either) => [
      writeDump({ operationId: id }, encryptedStore(store, dumpKey), {
        key,
        snapshot: snapshot.name,
        environment,
        signal: either,
        onBytes: () => undefined,
      }),
      readFacts(client),
    ]);
    await client.query('ROLLBACK');
    return {
      snapshotAt: snapshot.at,
      postgres,
      ...facts,
      dump: {
        key,
        format: 'pg_dump-custom+zstd',
        storedBytes: written.stored.size,
        sha256: written.stored.sha256,
        compressedBytes: written.content.size,
        databaseBytes: snapshot.databaseBytes,
      },
    };
  });
}

async function readFacts(client: Client): Promise<Pick<Taken, 'migrations' | 'tables' | 'ringKeys'>> {
  const tables = await countRows(client);
  if (!tables.some(({ name }) => name === 'schema_migrations')) {
    throw new Failure('misconfigured', 'This database has no schema_migrations: it is not the platform’s.');
  }
  const migrations = await client.query<{ name: string }>('SELECT name FROM public.schema_migrations ORDER BY id');
  return { migrations: migrations.rows.map(({ name }) => name), tables, ringKeys: await wrappingKeys(client) };
}

/** Rows of every table, sorted by name, as the session sees them. */
export async function countRows(client: Client): Promise<PlatformManifest['tables']> {
  const { rows } = await client.query<{ name: string; quoted: string }>(
    `SELECT relname::text AS name, format('public.%I', relname) AS quoted FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname COLLATE "C"`,
  );
  const tables: PlatformManifest['tables'] = [];
  for (const { name, quoted } of rows) {
    const counted = await client.query<{ n: string }>(`SELECT count(*)::text AS n FROM ${quoted}`);
    tables.push({ name, rows: Number(counted.rows[0]?.n ?? 0) });
  }
  return tables;
}

/**
 * Ids of the ring's keys in everything that is stored wrapped, whichever table it is in: a wrapped key is text of the form
 * `w1.<key id>.<the rest>`. Keys of Jobs that are over are not asked for again: they would hold a key in the ring for ever.
 */
async function wrappingKeys(client: Client): Promise<string[]> {
  const columns = await client.query<{ quoted: string; table: string; name: string }>(
    `SELECT format('public.%I', c.relname) AS quoted, c.relname::text AS table, format('%I', a.attname) AS name
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.atttypid = 'text'::regtype
       AND a.attname ~ '_key$' AND NOT a.attisdropped`,
  );
  const ids = new Set<string>();
  for (const { quoted, table, name } of columns.rows) {
    const isOfJobs = name === 'job_key' && (table === 'loads' || table === 'restores');
    const found = await client.query<{ id: string }>(
      `SELECT DISTINCT split_part(${name}, '.', 2) AS id FROM ${quoted} AS stored
       WHERE ${name} LIKE 'w1.%.%'${isOfJobs ? ` AND ${needsJobKey('stored')}` : ''}`,
    );
    for (const { id } of found.rows) ids.add(id);
  }
  return [...ids].toSorted();
}
