import { createHash } from 'node:crypto';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import { type ExportResult, exportNames } from '#shared/domain/backup/export-result.ts';
import {
  type BackupManifest,
  resultNames,
  resultSigner,
  type StoredFile,
  storedFileKey,
  storedFileName,
} from '#shared/domain/backup/manifest.ts';
import { seal } from '#shared/domain/backup/manifest-seal.ts';
import type { ExportOrder } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import { archiveManifest } from '#shared/domain/odoo/archive-manifest.ts';
import { plainDump } from './export-dump.ts';
import { type NamedFile, namedFiles } from './filestore.ts';
import { filesInBackup } from './lost-files.ts';
import { manifestIn, sha256Of } from './manifest-bytes.ts';
import { scanAttachments } from './plain-dump.ts';
import { type Progress, reportProgress } from './progress.ts';
import { readAhead } from './read-ahead.ts';
import { digestOf, retrying } from './store-files.ts';
import { openStoredObject } from './stored-object.ts';
import type { TaskContext } from './task.ts';
import { type ZipEntry, zipOf } from './zip-writer.ts';

/** Rows of text become a seventh; most files are packed already. */
const [dumpLevel, fileLevel] = [6, 1];

/** Small files are read before their turn: a store takes some milliseconds for each, however small. */
const ahead = 16;
const smallBytes = 1024 * 1024;

/**
 * Writes the backup as a zip that Odoo's own database manager restores: `dump.sql`, `filestore/ab/<sha1>`,
 * `manifest.json`. It is streamed: nothing of it lies on a disk here. The result is written last.
 * @throws Failure `damaged` when the backup is not what its manifest says; there is no archive then.
 */
export async function exportBackup(order: ExportOrder, context: TaskContext): Promise<ExportResult> {
  const { store, signal, say } = context;
  const startedAt = new Date().toISOString();
  const progress = reportProgress(store, `${order.prefix}/${resultNames.progress}`, { say });
  const manifest = await readManifest(order, context);
  const key = `${order.prefix}/${exportNames.archive}`;
  const sealed = encryptedStore(store, Buffer.from(order.archiveKey, 'base64'));
  const entries = archiveEntries(order, context, { manifest, progress });
  const written = await sealed.write(key, whileWanted(zipOf(entries, new Date(manifest.snapshotAt)), signal));
  if (written.outcome === 'exists') throw new Failure('conflict', `The object ${key} exists.`);
  progress.phase('finish');
  const result: ExportResult = {
    version: 1,
    instanceId: order.instanceId,
    backupId: order.backupId,
    operationId: order.operationId,
    attempt: order.attempt,
    manifestSha256: order.manifest.sha256,
    startedAt,
    finishedAt: new Date().toISOString(),
    archive: { key, bytes: written.content.size, sha256: written.content.sha256, storedBytes: written.stored.size },
    files: manifest.files.count,
  };
  await progress.settled();
  signal.throwIfAborted();
  const bytes = seal(result, 'export-result', resultSigner(order));
  await retrying(signal, () => store.put(`${order.prefix}/${exportNames.result}`, bytes));
  return result;
}

async function readManifest(order: ExportOrder, { store, signal }: TaskContext): Promise<BackupManifest> {
  const { key, sha256 } = order.manifest;
  const bytes = await retrying(signal, () => store.get(key));
  if (bytes === undefined || sha256Of(bytes) !== sha256) {
    const what = bytes === undefined ? 'is missing' : 'is not the one that was recorded: its sha256 differs';
    throw new Failure('damaged', `The manifest ${key} ${what}.`);
  }
  const manifest = manifestIn(bytes);
  if (manifest.instanceId === order.instanceId && manifest.backupId === order.backupId) return manifest;
  throw new Failure('damaged', `The manifest ${key} is of another backup.`);
}

async function* archiveEntries(
  order: ExportOrder,
  context: TaskContext,
  { manifest, progress }: { manifest: BackupManifest; progress: Progress },
): AsyncGenerator<ZipEntry> {
  const about = archiveManifest({
    databaseName: order.databaseName,
    odooVersion: manifest.odooVersion,
    modules: manifest.modules,
    postgresMajor: manifest.postgres.major,
  });
  progress.phase('dump', { total: manifest.dump.compressedBytes, unit: 'bytes' });
  const scan = scanAttachments();
  const onBytes = (count: number) => progress.add(count);
  const dump = plainDump(context, {
    dump: manifest.dump,
    key: Buffer.from(order.keys.dump, 'base64'),
    onBytes,
    onPiece: scan.push,
  });
  yield { name: 'dump.sql', content: dump, level: dumpLevel };
  const filesKey = Buffer.from(order.keys.files, 'base64');
  const files = namedObjects(scan.files(), { manifest, filesKey });
  progress.phase('files', { total: files.length, unit: 'files' });
  const read = { ...context, instanceId: manifest.instanceId, filesKey };
  for await (const entry of readAhead(files, ahead, (file) => fileEntry(file, read))) {
    yield entry;
    progress.add(1);
  }
  const content = Buffer.from(JSON.stringify(about, null, 4));
  yield { name: 'manifest.json', content: oneOf(content), level: dumpLevel };
}

type FileObject = { file: NamedFile; object: StoredFile };

/** The files that the dump's attachments name, each with its object: neither more nor fewer than the backup has. */
function namedObjects(
  attached: Parameters<typeof namedFiles>[0],
  { manifest, filesKey }: { manifest: BackupManifest; filesKey: Uint8Array },
): FileObject[] {
  const objects = new Map(manifest.files.objects.map((object) => [object[0], object]));
  const files = filesInBackup(namedFiles(attached), { manifest, filesKey }).map((file) => {
    const object = objects.get(storedFileName(filesKey, file.sha1));
    if (object !== undefined) return { file, object };
    throw new Failure('damaged', `The file ${file.file} of attachment ${file.attachment} is not in the manifest.`);
  });
  if (digestOf(files.map(({ file }) => file.sha1)) === manifest.files.contents) return files;
  throw new Failure('damaged', 'The manifest has files that no attachment of the dump names.');
}

type ReadOptions = TaskContext & { instanceId: string; filesKey: Uint8Array };

async function fileEntry({ file, object }: FileObject, options: ReadOptions): Promise<ZipEntry> {
  const name = `filestore/${file.file}`;
  if (object[1] > smallBytes) return { name, content: fileContent(file, options), level: fileLevel };
  const bytes = await retrying(options.signal, async () => {
    const pieces: Buffer[] = [];
    for await (const piece of fileContent(file, options)) pieces.push(piece);
    return Buffer.concat(pieces);
  });
  return { name, content: oneOf(bytes), level: fileLevel };
}

async function* fileContent(file: NamedFile, options: ReadOptions): AsyncGenerator<Buffer> {
  const { store, instanceId, filesKey } = options;
  const key = storedFileKey(instanceId, storedFileName(filesKey, file.sha1));
  const opened = await openStoredObject(store, key, filesKey);
  if (opened === undefined) throw new Failure('damaged', `The object ${key} is missing.`);
  const sha1 = createHash('sha1');
  for await (const piece of opened.content) {
    sha1.update(piece);
    yield piece;
  }
  if (sha1.digest('hex') === file.sha1) return;
  throw new Failure('damaged', `The object ${key} holds another file than its name says.`);
}

async function* oneOf(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function* whileWanted(bytes: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const piece of bytes) {
    signal.throwIfAborted();
    yield piece;
  }
}
