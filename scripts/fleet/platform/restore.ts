import type { Client } from 'pg';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import type { PlatformManifest } from '#shared/domain/platform/backup.ts';
import { countRows, type PlatformKeys } from '#shared/worker/platform/make.ts';
import { readPlatformManifest, restorePlatformDump } from '#shared/worker/platform/read.ts';
import { checkClientVersion, programEnvironment } from '#shared/worker/postgres-programs.ts';
import { serverVersion, withSession } from '#shared/worker/session.ts';

/** What lets a session write into a database that is closed for writing. */
export const writing = 'set default_transaction_read_only = off';

/** The audit entry that says what the records were restored from. */
export const restoredAction = 'platform.restored';

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/**
 * Closes a database for writing, or opens it, for every session but those that say otherwise, and ends the sessions that have
 * not heard of it: functions keep theirs open for long.
 */
export async function setClosed(client: Client, { database, isClosed }: { database: string; isClosed: boolean }) {
  const change = isClosed ? 'set default_transaction_read_only = on' : 'reset default_transaction_read_only';
  await client.query(`alter database ${quoted(database)} ${change}`);
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and usename = current_user`,
  );
}

/**
 * Restores a backup of the platform into its empty database, and leaves it closed for writing: records that are older than
 * the world must not be acted on. `rebuild` opens it.
 * @throws Failure `not-allowed` when the database is not empty, `damaged`, `misconfigured`.
 */
export async function restorePlatform(
  access: DatabaseAccess,
  store: ObjectStore,
  options: { id: string; keys: PlatformKeys; folder: string; signal: AbortSignal; knownMigrations: readonly string[] },
): Promise<PlatformManifest> {
  const { id, keys, folder, signal } = options;
  const manifest = await readPlatformManifest(store, id, keys);
  refuseNewer(manifest, options.knownMigrations);
  await withSession(access, signal, async (client) => {
    await client.query(writing);
    await checkClientVersion('pg_restore', await serverVersion(client));
    const tables = await countRows(client);
    if (tables.length > 0) {
      throw new Failure(
        'not-allowed',
        `Database ${access.database} at ${access.host} holds ${tables.length} tables: a backup is restored into an empty one. ` +
          'Rename the old one away and create another.',
      );
    }
    await setClosed(client, { database: access.database, isClosed: true });
  });
  const environment = {
    ...(await programEnvironment(access, folder)),
    PGOPTIONS: '-c default_transaction_read_only=off',
  };
  await restorePlatformDump(store, manifest, { keys, access, environment, signal });
  await withSession(access, signal, async (client) => {
    await compareRows(client, manifest);
    await client.query(writing);
    const detail = { backup: id, snapshotAt: manifest.snapshotAt };
    await client.query('insert into public.audit (actor, action, detail) values ($1, $2, $3)', [
      'platform restore',
      restoredAction,
      JSON.stringify(detail),
    ]);
  });
  return manifest;
}

/** Tables of a later version would be read by functions that do not know them. */
function refuseNewer({ migrations, id }: PlatformManifest, known: readonly string[]): void {
  const unknown = migrations.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  throw new Failure(
    'not-allowed',
    `Backup ${id} was made by a newer version of the platform: it has migration ${unknown[0]}. Restore it with that version.`,
  );
}

async function compareRows(client: Client, manifest: PlatformManifest): Promise<void> {
  const found = await countRows(client);
  const texts = (tables: PlatformManifest['tables']) => tables.map(({ name, rows }) => `${name} ${rows}`);
  const [wanted, there] = [texts(manifest.tables), texts(found)];
  const differs = wanted.find((one, at) => one !== there[at]) ?? there[wanted.length];
  if (differs === undefined) return;
  throw new Failure(
    'damaged',
    `The restored tables are not those of backup ${manifest.id} (at ${differs}). Drop the database and restore another backup.`,
  );
}
