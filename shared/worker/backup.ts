import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import { type BackupResult, resultNames, resultSigner, type StoredFile } from '#shared/domain/backup/manifest.ts';
import { seal } from '#shared/domain/backup/manifest-seal.ts';
import type { BackupOrder } from '#shared/domain/backup/order.ts';
import { attachedFiles, readContents, readModules } from './contents.ts';
import { takeSnapshot, writeDump } from './dump.ts';
import { namedFiles, openFilestore } from './filestore.ts';
import { checkLost } from './lost-files.ts';
import { manifestIn, sha256Of } from './manifest-bytes.ts';
import { checkClientVersion, programEnvironment } from './postgres-programs.ts';
import { reportProgress } from './progress.ts';
import { serverVersion, withSession } from './session.ts';
import { retrying, storeFiles } from './store-files.ts';
import { allOrAbort, type TaskContext } from './task.ts';

/**
 * Makes a backup: the database first, as one snapshot shows it, then the files that its attachments name. The result is
 * written last: without it there is no backup.
 * @throws Failure; nothing that was written until then counts.
 */
export async function backUp(order: BackupOrder, context: TaskContext): Promise<BackupResult> {
  const { store, signal, say } = context;
  const startedAt = new Date().toISOString();
  const progress = reportProgress(store, `${order.prefix}/${resultNames.progress}`, { say });
  progress.phase('snapshot');
  const taken = await backUpDatabase(order, context, progress);
  const files = namedFiles(taken.attached);
  progress.phase('files', { total: files.length, unit: 'files' });
  const filesKey = Buffer.from(order.keys.files, 'base64');
  const stored = await storeFiles(files, {
    instanceId: order.instanceId,
    store,
    filesKey,
    filestore: openFilestore(order.filestore),
    known: await knownFiles(order, context),
    signal,
    onFile: () => progress.add(1),
  });
  await checkLost(stored.lost ?? [], { files, filesKey, database: order.database, signal });
  progress.phase('finish');
  const { kind, customerId, imageId, addonsDigest, previous } = order.facts;
  const result: BackupResult = {
    version: 1,
    instanceId: order.instanceId,
    customerId,
    backupId: order.backupId,
    operationId: order.operationId,
    attempt: order.attempt,
    kind,
    imageId,
    addonsDigest,
    previous,
    ...taken.facts,
    startedAt,
    finishedAt: new Date().toISOString(),
    files: stored,
  };
  await progress.settled();
  signal.throwIfAborted();
  const sealed = seal(result, 'backup-result', resultSigner(order));
  await retrying(signal, () => store.put(`${order.prefix}/${resultNames.manifest}`, sealed));
  return result;
}

/** One transaction is open until the dump is written: not while the files are, which would keep its rows from being vacuumed. */
async function backUpDatabase(order: BackupOrder, context: TaskContext, progress: ReturnType<typeof reportProgress>) {
  const { store, folder, signal } = context;
  return await withSession(order.database, signal, async (client) => {
    const postgres = await checkClientVersion('pg_dump', await serverVersion(client));
    const environment = await programEnvironment(order.database, folder);
    const snapshot = await takeSnapshot(client);
    progress.phase('dump', { total: null, unit: 'bytes' });
    const key = `${order.prefix}/${resultNames.dump}`;
    const encrypted = encryptedStore(store, Buffer.from(order.keys.dump, 'base64'));
    const read = async (either: AbortSignal) => ({
      contents: await readContents(client, () => either.throwIfAborted()),
      modules: await readModules(client),
      attached: await attachedFiles(client),
    });
    const [written, { contents, modules, attached }] = await allOrAbort(signal, (either) => [
      writeDump(order, encrypted, {
        key,
        snapshot: snapshot.name,
        environment,
        signal: either,
        onBytes: (count) => progress.add(count),
      }),
      read(either),
    ]);
    await client.query('ROLLBACK');
    const dump: BackupResult['dump'] = {
      key,
      format: 'pg_dump-custom+zstd',
      storedBytes: written.stored.size,
      sha256: written.stored.sha256,
      compressedBytes: written.content.size,
      databaseBytes: snapshot.databaseBytes,
    };
    return { attached, facts: { ...modules, postgres, snapshotAt: snapshot.at, contents, dump } };
  });
}

/**
 * What the newest backup's manifest says of the files. Its sha256 comes with the order: that is who signed it. One that is
 * not there or not the same only costs time, as what is in the store is then read.
 */
async function knownFiles(
  { previousManifest, instanceId }: BackupOrder,
  { store, signal }: TaskContext,
): Promise<ReadonlyMap<string, StoredFile>> {
  if (previousManifest === undefined || previousManifest === null) return new Map();
  const bytes = await retrying(signal, () => store.get(previousManifest.key));
  if (bytes === undefined || sha256Of(bytes) !== previousManifest.sha256) return new Map();
  const manifest = manifestIn(bytes);
  if (manifest.instanceId !== instanceId) return new Map();
  return new Map(manifest.files.objects.map((object) => [object[0], object]));
}
