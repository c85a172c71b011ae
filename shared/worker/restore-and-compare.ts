import { type BackupManifest, storedFileName } from '#shared/domain/backup/manifest.ts';
import { databaseDifferences } from '#shared/domain/backup/manifest-comparison.ts';
import type { BackupKeys, DatabaseAccess } from '#shared/domain/backup/order.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { attachedFiles, readContents, readModules } from './contents.ts';
import { type NamedFile, namedFiles } from './filestore.ts';
import { filesInBackup } from './lost-files.ts';
import { manifestIn, sha256Of } from './manifest-bytes.ts';
import type { Progress } from './progress.ts';
import { restoreDump } from './restore.ts';
import { withSession } from './session.ts';
import { digestOf, retrying } from './store-files.ts';
import type { TaskContext } from './task.ts';

/** A backup as an order names it. */
export type WantedBackup = { instanceId: string; backupId: string; manifest: { key: string; sha256: string } };

/** What is restored, and where: a database that is empty, as a role that is no superuser. */
export type WantedRestore = { manifest: BackupManifest; keys: BackupKeys; database: DatabaseAccess };

export type Restored = {
  /** What is not as in the manifest: sentences. */
  differences: string[];
  totals: { tables: number; rows: number };
  /** Of the dump, as they were read. */
  bytes: number;
  /** Those the attachments name; none when the dump could not be restored. */
  files: readonly NamedFile[];
};

/** The manifest of a backup; a text: what is wrong with it. */
export async function readManifest(
  order: WantedBackup,
  { store, signal }: TaskContext,
): Promise<BackupManifest | string> {
  const bytes = await retrying(signal, () => store.get(order.manifest.key));
  if (bytes === undefined) return `The manifest ${order.manifest.key} is missing.`;
  if (sha256Of(bytes) !== order.manifest.sha256) {
    return `The manifest ${order.manifest.key} is not the one that was recorded when the backup was made: its sha256 differs.`;
  }
  const manifest = manifestIn(bytes);
  if (manifest.instanceId === order.instanceId && manifest.backupId === order.backupId) return manifest;
  return `The manifest ${order.manifest.key} is of another backup (${manifest.backupId} of instance ${manifest.instanceId}).`;
}

/**
 * Restores the dump and compares all that is in the database with the manifest. What is wrong with the backup is in the
 * result. @throws Failure when it cannot be told.
 */
export async function restoreAndCompare(
  wanted: WantedRestore,
  context: TaskContext,
  progress: Progress,
): Promise<Restored> {
  const { manifest, keys, database } = wanted;
  const totals = { tables: 0, rows: 0 };
  await checkEmpty(database, context.signal);
  progress.phase('restore', { total: manifest.dump.compressedBytes, unit: 'bytes' });
  const restored = await restoreDump(wanted, context, (count) => progress.add(count));
  if (restored.differences.length > 0) return { ...restored, totals, files: [] };
  progress.phase('compare');
  return await withSession(database, context.signal, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const contents = await readContents(client, () => context.signal.throwIfAborted());
    const found = { contents, ...(await readModules(client)) };
    const attached = attachedIn(await attachedFiles(client), manifest, Buffer.from(keys.files, 'base64'));
    const rows = contents.tables.reduce((sum, table) => sum + table.rows, 0);
    return {
      differences: [...databaseDifferences(manifest, found), ...attached.differences],
      totals: { tables: contents.tables.length, rows },
      bytes: restored.bytes,
      files: attached.files,
    };
  });
}

/** Every file that an attachment of the restored database names must be in the manifest, and nothing else. */
function attachedIn(
  attached: Awaited<ReturnType<typeof attachedFiles>>,
  manifest: BackupManifest,
  filesKey: Uint8Array,
): { differences: string[]; files: readonly NamedFile[] } {
  try {
    const files = filesInBackup(namedFiles(attached), { manifest, filesKey });
    const listed = new Set(manifest.files.objects.map(([name]) => name));
    const lost = files.filter(({ sha1 }) => !listed.has(storedFileName(filesKey, sha1)));
    const differences = lost.map((one) => {
      return `The file ${one.file} of attachment ${one.attachment} is not in the manifest.`;
    });
    if (lost.length === 0 && digestOf(files.map(({ sha1 }) => sha1)) !== manifest.files.contents) {
      differences.push('The manifest has files that no attachment names.');
    }
    return { differences, files };
  } catch (error) {
    return { differences: [asFailure(error).message], files: [] };
  }
}

/** A second try must not find what the first one left. The database is the order's own, and made anew for each try. */
export async function checkEmpty(database: DatabaseAccess, signal: AbortSignal): Promise<void> {
  await withSession(database, signal, async (client) => {
    const { rows } = await client.query<{ tables: number; isSuperuser: boolean }>(
      `SELECT (SELECT count(*)::int FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
               WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname NOT LIKE 'pg\\_%'
                 AND nspname <> 'information_schema') AS tables,
         (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS "isSuperuser"`,
    );
    // a dump holds programs that a tenant wrote, which run while it is restored
    if (rows[0]?.isSuperuser !== false) {
      throw new Failure(
        'misconfigured',
        'A backup is never restored as a superuser. Give the order a role that is none.',
      );
    }
    if (rows[0].tables > 0) {
      const text = `The database ${database.database} is not empty. Give the order one that is made for it.`;
      throw new Failure('misconfigured', text);
    }
  });
}
