import { type BackupManifest, type LostFile, storedFileName } from '#shared/domain/backup/manifest.ts';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { NamedFile } from './filestore.ts';
import { withSession } from './session.ts';

/**
 * Of so many files, this many may be lost: more are no lost files but another volume, or one that is broken. Never all of
 * them, and never most of a few.
 */
export function mostLost(files: number): number {
  return Math.max(Math.floor(files / 100), Math.min(20, Math.floor(files / 2)));
}

/** Without those that the instance had lost when the backup was made. */
export function filesInBackup(
  files: readonly NamedFile[],
  { manifest, filesKey }: { manifest: Pick<BackupManifest, 'files'>; filesKey: Uint8Array },
): NamedFile[] {
  const lost = new Set(manifest.files.lost?.map(({ name }) => name));
  return files.filter(({ sha1 }) => !lost.has(storedFileName(filesKey, sha1)));
}

/**
 * May a backup be made without these files? An attachment whose file is gone for long must not keep an instance without
 * any backup. One that Odoo has deleted since the snapshot is another matter: the snapshot would name a file that there
 * was, and the backup is made anew.
 * @throws Failure `job-failed` when it may not.
 */
export async function checkLost(
  lost: readonly LostFile[],
  {
    files,
    filesKey,
    database,
    signal,
  }: { files: readonly NamedFile[]; filesKey: Uint8Array; database: DatabaseAccess; signal: AbortSignal },
): Promise<void> {
  if (lost.length === 0) return;
  if (lost.length > mostLost(files.length)) {
    const text = `${lost.length} of ${files.length} files that attachments name are not in the filestore, or damaged: look whether the volume is the right one.`;
    throw new Failure('job-failed', text);
  }
  const names = new Set(lost.filter(({ why }) => why === 'missing').map(({ name }) => name));
  const missing = files.filter(({ sha1 }) => names.has(storedFileName(filesKey, sha1))).map(({ file }) => file);
  if (missing.length === 0) return;
  await withSession(database, signal, async (client) => {
    const { rows } = await client.query<{ count: number }>(
      'SELECT count(DISTINCT store_fname)::int AS count FROM ONLY public.ir_attachment WHERE store_fname = ANY ($1)',
      [missing],
    );
    const gone = missing.length - (rows[0]?.count ?? 0);
    if (gone === 0) return;
    throw new Failure('job-failed', `Odoo has deleted ${gone} files since the backup began. Ask for it again.`);
  });
}
