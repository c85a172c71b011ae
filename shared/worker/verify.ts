import {
  type BackupManifest,
  resultNames,
  resultSigner,
  storedFileName,
  type VerifyResult,
} from '#shared/domain/backup/manifest.ts';
import { databaseDifferences } from '#shared/domain/backup/manifest-comparison.ts';
import { seal } from '#shared/domain/backup/manifest-seal.ts';
import type { VerifyOrder } from '#shared/domain/backup/order.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { checkFiles } from './check-files.ts';
import { attachedFiles, readContents, readModules } from './contents.ts';
import { namedFiles } from './filestore.ts';
import { manifestIn, sha256Of } from './manifest-bytes.ts';
import { type Progress, reportProgress } from './progress.ts';
import { restoreDump } from './restore.ts';
import { withSession } from './session.ts';
import { digestOf, retrying } from './store-files.ts';
import type { TaskContext } from './task.ts';

const maxDifferences = 50;

/**
 * Restores a backup into the empty database of the order, reads all of it, and compares it with the manifest. What is
 * wrong with the backup is in the result; the backup is proven when nothing is.
 * @throws Failure when it cannot be told: the store or PostgreSQL cannot be reached, or the order is wrong.
 */
export async function verify(order: VerifyOrder, context: TaskContext): Promise<VerifyResult> {
  const { store, signal, say } = context;
  const startedAt = new Date().toISOString();
  const progress = reportProgress(store, `${order.prefix}/${resultNames.progress}`, { say });
  const looked = await lookAtAll(order, context, progress);
  progress.phase('finish');
  const texts = looked.differences.map((text) => oneLine(text, 1_000));
  const result: VerifyResult = {
    version: 1,
    instanceId: order.instanceId,
    backupId: order.backupId,
    operationId: order.operationId,
    attempt: order.attempt,
    manifestSha256: order.manifest.sha256,
    startedAt,
    finishedAt: new Date().toISOString(),
    differences: texts.slice(0, maxDifferences),
    more: Math.max(0, texts.length - maxDifferences),
    ...looked.totals,
  };
  await progress.settled();
  signal.throwIfAborted();
  const sealed = seal(result, 'verify-result', resultSigner(order));
  await retrying(signal, () => store.put(`${order.prefix}/${resultNames.result}`, sealed));
  return result;
}

type Looked = { differences: string[]; totals: Pick<VerifyResult, 'tables' | 'rows' | 'files' | 'bytes'> };

async function lookAtAll(order: VerifyOrder, context: TaskContext, progress: Progress): Promise<Looked> {
  const nothing = { tables: 0, rows: 0, files: 0, bytes: 0 };
  const manifest = await readManifest(order, context);
  if (typeof manifest === 'string') return { differences: [manifest], totals: nothing };
  const filesKey = Buffer.from(order.keys.files, 'base64');
  const database = await lookAtDatabase(order, context, { manifest, progress, filesKey });
  progress.phase('files', { total: manifest.files.count, unit: 'files' });
  const files = await checkFiles(manifest, {
    store: context.store,
    filesKey,
    signal: context.signal,
    onFile: () => progress.add(1),
  });
  return {
    differences: [...database.differences, ...files.differences],
    totals: { ...nothing, ...database.totals, files: files.count, bytes: files.bytes + database.bytes },
  };
}

/** A text: what is wrong with it. */
async function readManifest(order: VerifyOrder, { store, signal }: TaskContext): Promise<BackupManifest | string> {
  const bytes = await retrying(signal, () => store.get(order.manifest.key));
  if (bytes === undefined) return `The manifest ${order.manifest.key} is missing.`;
  if (sha256Of(bytes) !== order.manifest.sha256) {
    return `The manifest ${order.manifest.key} is not the one that was recorded when the backup was made: its sha256 differs.`;
  }
  const manifest = manifestIn(bytes);
  if (manifest.instanceId === order.instanceId && manifest.backupId === order.backupId) return manifest;
  return `The manifest ${order.manifest.key} is of another backup (${manifest.backupId} of instance ${manifest.instanceId}).`;
}

async function lookAtDatabase(
  order: VerifyOrder,
  context: TaskContext,
  options: { manifest: BackupManifest; progress: Progress; filesKey: Uint8Array },
): Promise<{ differences: string[]; totals: { tables: number; rows: number }; bytes: number }> {
  const { manifest, progress } = options;
  const totals = { tables: 0, rows: 0 };
  await checkEmpty(order, context.signal);
  progress.phase('restore', { total: manifest.dump.compressedBytes, unit: 'bytes' });
  const restored = await restoreDump(order, context, { manifest, onBytes: (count) => progress.add(count) });
  if (restored.differences.length > 0) return { ...restored, totals };
  progress.phase('compare');
  return await withSession(order.database, context.signal, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const contents = await readContents(client, () => context.signal.throwIfAborted());
    const found = { contents, ...(await readModules(client)) };
    const attached = await attachedFiles(client);
    const rows = contents.tables.reduce((sum, table) => sum + table.rows, 0);
    return {
      differences: [...databaseDifferences(manifest, found), ...attachedDifferences(attached, options)],
      totals: { tables: contents.tables.length, rows },
      bytes: restored.bytes,
    };
  });
}

/** Every file that an attachment of the restored database names must be in the manifest, and nothing else. */
function attachedDifferences(
  attached: Awaited<ReturnType<typeof attachedFiles>>,
  { manifest, filesKey }: { manifest: BackupManifest; filesKey: Uint8Array },
): string[] {
  try {
    const files = namedFiles(attached);
    const listed = new Set(manifest.files.objects.map(([name]) => name));
    const lost = files.filter(({ sha1 }) => !listed.has(storedFileName(filesKey, sha1)));
    const differences = lost.map((one) => {
      return `The file ${one.file} of attachment ${one.attachment} is not in the manifest.`;
    });
    if (lost.length === 0 && digestOf(files.map(({ sha1 }) => sha1)) !== manifest.files.contents) {
      differences.push('The manifest has files that no attachment names.');
    }
    return differences;
  } catch (error) {
    return [asFailure(error).message];
  }
}

/** A second try must not find what the first one left. The database is the order's own, and made anew for each try. */
async function checkEmpty(order: VerifyOrder, signal: AbortSignal): Promise<void> {
  await withSession(order.database, signal, async (client) => {
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
      const text = `The database ${order.database.database} is not empty. Give the order one that is made for it.`;
      throw new Failure('misconfigured', text);
    }
  });
}
