import { resultNames, resultSigner, type VerifyResult } from '#shared/domain/backup/manifest.ts';
import { seal } from '#shared/domain/backup/manifest-seal.ts';
import type { VerifyOrder } from '#shared/domain/backup/order.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { checkFiles } from './check-files.ts';
import { type Progress, reportProgress } from './progress.ts';
import { readManifest, restoreAndCompare } from './restore-and-compare.ts';
import { retrying } from './store-files.ts';
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
  const database = await restoreAndCompare({ ...order, manifest }, context, progress);
  progress.phase('files', { total: manifest.files.count, unit: 'files' });
  const files = await checkFiles(manifest, {
    store: context.store,
    filesKey: Buffer.from(order.keys.files, 'base64'),
    signal: context.signal,
    onFile: () => progress.add(1),
  });
  return {
    differences: [...database.differences, ...files.differences],
    totals: { ...nothing, ...database.totals, files: files.count, bytes: files.bytes + database.bytes },
  };
}
