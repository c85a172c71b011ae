import { rm } from 'node:fs/promises';
import { type LoadResult, sealLoadResult } from '#shared/domain/backup/load-result.ts';
import { resultNames, resultSigner } from '#shared/domain/backup/manifest.ts';
import type { LoadOrder, LoadSource } from '#shared/domain/backup/order.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { loadFiles, makeFolder, storedFiles } from './load-files.ts';
import { loadOdooZip } from './load-odoo-zip.ts';
import { type Progress, reportProgress } from './progress.ts';
import { readManifest, restoreAndCompare } from './restore-and-compare.ts';
import { retrying } from './store-files.ts';
import type { TaskContext } from './task.ts';

const maxDifferences = 50;

/** What was loaded, whatever it came from. */
export type Loaded = Pick<
  LoadResult,
  'source' | 'odooVersion' | 'modules' | 'tables' | 'rows' | 'files' | 'linked' | 'lost' | 'bytes' | 'differences'
>;

/**
 * Restores the source of the order into its empty database and its folder, and compares them with what the source says.
 * What is wrong with the source is in the result.
 * @throws Failure when it cannot be told: the store, the volume or PostgreSQL cannot be reached, or the order is wrong.
 */
export async function load(order: LoadOrder, context: TaskContext): Promise<LoadResult> {
  const remove = () => rm(order.filestore.folder, { recursive: true, force: true });
  try {
    const result = await loadAndTell(order, context);
    // what cannot be used takes no room on the instance's volume, where Odoo may be at work
    if (result.differences.length > 0) await remove();
    return result;
  } catch (error) {
    // an interrupted load leaves its files for the next one
    if (asFailure(error).code === 'no-capacity') await remove();
    throw error;
  }
}

async function loadAndTell(order: LoadOrder, context: TaskContext): Promise<LoadResult> {
  const { store, signal, say } = context;
  const startedAt = new Date().toISOString();
  const progress = reportProgress(store, `${order.prefix}/${resultNames.progress}`, { say });
  const { differences, ...loaded } = await loadSource(order, context, progress);
  progress.phase('finish');
  const texts = differences.map((text) => oneLine(text, 1_000));
  const result: LoadResult = {
    version: 1,
    instanceId: order.instanceId,
    operationId: order.operationId,
    attempt: order.attempt,
    startedAt,
    finishedAt: new Date().toISOString(),
    ...loaded,
    differences: texts.slice(0, maxDifferences),
    more: Math.max(0, texts.length - maxDifferences),
  };
  await progress.settled();
  signal.throwIfAborted();
  const sealed = sealLoadResult(result, resultSigner(order));
  await retrying(signal, () => store.put(`${order.prefix}/${resultNames.result}`, sealed));
  return result;
}

async function loadSource(order: LoadOrder, context: TaskContext, progress: Progress): Promise<Loaded> {
  const { source } = order;
  if (source.kind === 'backup') return await loadBackup(order, { source, context, progress });
  return await loadOdooZip(order, { source, context, progress });
}

type BackupSource = Extract<LoadSource, { kind: 'backup' }>;

async function loadBackup(
  order: LoadOrder,
  { source, context, progress }: { source: BackupSource; context: TaskContext; progress: Progress },
): Promise<Loaded> {
  const { instanceId, backupId, keys } = source;
  const nothing: Loaded = {
    source: { kind: 'backup', instanceId, backupId, manifestSha256: source.manifest.sha256 },
    odooVersion: null,
    modules: [],
    tables: 0,
    rows: 0,
    files: 0,
    linked: 0,
    bytes: 0,
    differences: [],
  };
  const manifest = await readManifest(source, context);
  if (typeof manifest === 'string') return { ...nothing, differences: [manifest] };
  const restored = await restoreAndCompare({ manifest, keys, database: order.database }, context, progress);
  const { folder, linkFrom } = order.filestore;
  await makeFolder(order);
  progress.phase('files', { total: restored.files.length, unit: 'files' });
  const files = await loadFiles(restored.files, {
    source: storedFiles(context.store, { instanceId, filesKey: Buffer.from(keys.files, 'base64') }),
    folder,
    linkFrom,
    signal: context.signal,
    onFile: () => progress.add(1),
  });
  return {
    ...nothing,
    odooVersion: manifest.odooVersion,
    modules: manifest.modules,
    ...restored.totals,
    files: files.count,
    linked: files.linked,
    bytes: restored.bytes + files.bytes,
    differences: [...restored.differences, ...files.differences],
  };
}
