import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LoadOrder, LoadSource } from '#shared/domain/backup/order.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { checkOdooMajor, parseArchiveManifest } from '#shared/domain/odoo/archive-manifest.ts';
import { attachedFiles, readContents, readModules } from './contents.ts';
import { type NamedFile, namedFiles } from './filestore.ts';
import type { Loaded } from './load.ts';
import { type FileSource, loadFiles, makeFolder } from './load-files.ts';
import { loadPlainDump } from './load-plain-dump.ts';
import { mostLost } from './lost-files.ts';
import { type OdooArchive, openOdooArchive } from './odoo-archive.ts';
import type { Progress } from './progress.ts';
import { checkEmpty } from './restore-and-compare.ts';
import { withSession } from './session.ts';
import { whileNoLarger } from './size-limit.ts';
import { openStoredObject } from './stored-object.ts';
import type { TaskContext } from './task.ts';
import { writeNewFile } from './write-file.ts';

type ZipSource = Extract<LoadSource, { kind: 'odoo-zip' }>;
type Work = { source: ZipSource; context: TaskContext; progress: Progress };

/**
 * Loads a zip of Odoo's database manager: its dump into the empty database, and of its files those that the attachments
 * name into the folder. A zip is read from its end, so it is first copied to the volume, beside the folder, and removed.
 * What is wrong with the archive is in the differences. Files that attachments name and the archive has not are none while
 * they are few: Odoo itself lives on without them, and they were lost before.
 * @throws Failure when it cannot be told, and for archives of another Odoo or of none.
 */
export async function loadOdooZip(order: LoadOrder, { source, context, progress }: Work): Promise<Loaded> {
  const { database, filestore } = order;
  const nothing: Loaded = {
    source: { kind: 'odoo-zip', key: source.key, sha256: '' },
    odooVersion: null,
    modules: [],
    tables: 0,
    rows: 0,
    files: 0,
    linked: 0,
    bytes: 0,
    differences: [],
  };
  await checkEmpty(database, context.signal);
  const copy = `${filestore.folder}.zip`;
  try {
    const sha256 = await copyArchive(copy, { source, context, progress });
    const archive = await openOdooArchive(copy);
    try {
      const loaded = await loadArchive(archive, order, { source, context, progress });
      return { ...nothing, ...loaded, source: { kind: 'odoo-zip', key: source.key, sha256 } };
    } finally {
      await archive.close();
    }
  } finally {
    await rm(copy, { force: true });
  }
}

/** sha256 (hex) of what was copied. */
async function copyArchive(file: string, { source, context, progress }: Work): Promise<string> {
  const { store, signal } = context;
  const total = (await store.head(source.key))?.size ?? null;
  progress.phase('dump', { total, unit: 'bytes' });
  const content = await openArchive(store, source);
  if (content === undefined) throw new Failure('not-found', `The archive ${source.key} is not in the store.`);
  await mkdir(dirname(file), { recursive: true });
  await rm(file, { force: true, recursive: true });
  const hash = createHash('sha256');
  const onPiece = (piece: Buffer) => {
    signal.throwIfAborted();
    hash.update(piece);
    progress.add(piece.length);
  };
  await writeNewFile(file, content, { mode: 0o600, onPiece });
  const sha256 = hash.digest('hex');
  if (source.sha256 === null || source.sha256 === sha256) return sha256;
  throw new Failure('damaged', `The archive ${source.key} is not the one that was uploaded: its sha256 differs.`);
}

async function openArchive(
  store: ObjectStore,
  { key, encryptionKey }: ZipSource,
): Promise<AsyncIterable<Buffer> | undefined> {
  if (encryptionKey === null) return (await store.read(key))?.bytes;
  return (await openStoredObject(store, key, Buffer.from(encryptionKey, 'base64')))?.content;
}

async function loadArchive(
  archive: OdooArchive,
  order: LoadOrder,
  { source, context, progress }: Work,
): Promise<Omit<Loaded, 'source' | 'linked'>> {
  const { database, filestore } = order;
  const { signal, folder } = context;
  const about = parseArchiveManifest(await wholeOf(archive, archive.manifest));
  checkOdooMajor(about.majorVersion, source.odooVersion);
  progress.phase('restore', { total: archive.dump.bytes, unit: 'bytes' });
  const dump = counted(archive.read(archive.dump), progress);
  await whileNoLarger(
    source.mostBytes ?? Number.POSITIVE_INFINITY,
    { access: database, signal },
    async (either) => await loadPlainDump(dump, { access: database, folder, signal: either }),
  );
  progress.phase('compare');
  const found = await withSession(database, signal, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const contents = await readContents(client, () => signal.throwIfAborted());
    return { contents, ...(await readModules(client)), attached: await attachedFiles(client) };
  });
  // what the database itself says counts: the manifest is only a file beside it
  checkOdooMajor(found.odooVersion, source.odooVersion);
  const named = filesOf(found.attached);
  const { files, lost, differences } = withoutLost(named.files, archive);
  for (const { file, attachment } of lost)
    context.say(`The archive has no file ${file} (of attachment ${attachment}).`);
  await makeFolder(order);
  progress.phase('files', { total: files.length, unit: 'files' });
  const loaded = await loadFiles(files, {
    source: archivedFiles(archive),
    folder: filestore.folder,
    linkFrom: filestore.linkFrom,
    signal,
    onFile: () => progress.add(1),
  });
  return {
    odooVersion: found.odooVersion,
    modules: found.modules,
    tables: found.contents.tables.length,
    rows: found.contents.tables.reduce((sum, { rows }) => sum + rows, 0),
    files: loaded.count,
    bytes: archive.dump.bytes + loaded.bytes,
    lost: lost.length,
    differences: [...named.differences, ...differences, ...loaded.differences],
  };
}

/** A name that Odoo does not give is a difference as another: the archive is not imported with it. */
function filesOf(attached: Parameters<typeof namedFiles>[0]): { files: NamedFile[]; differences: string[] } {
  const files: NamedFile[] = [];
  const differences: string[] = [];
  for (const one of attached) {
    try {
      files.push(...namedFiles([one]));
    } catch (error) {
      differences.push(asFailure(error).message);
    }
  }
  return { files, differences };
}

function withoutLost(
  named: readonly NamedFile[],
  archive: OdooArchive,
): { files: NamedFile[]; lost: NamedFile[]; differences: string[] } {
  const files = named.filter(({ file }) => archive.files.has(file));
  const lost = named.filter(({ file }) => !archive.files.has(file));
  if (lost.length <= mostLost(named.length)) return { files, lost, differences: [] };
  const text = `The archive has no file for ${lost.length} of ${named.length} attachments with files: export it with its filestore.`;
  return { files, lost: [], differences: [text] };
}

function archivedFiles(archive: OdooArchive): FileSource {
  return {
    nameOf: ({ file, attachment }) => `archive’s file ${file} (of attachment ${attachment})`,
    async open({ file }) {
      const found = archive.files.get(file);
      return found && archive.read(found);
    },
  };
}

async function* counted(bytes: AsyncIterable<Buffer>, progress: Progress): AsyncGenerator<Buffer> {
  for await (const piece of bytes) {
    progress.add(piece.length);
    yield piece;
  }
}

/** For small ones: the limits of the archive are checked. */
async function wholeOf(archive: OdooArchive, file: OdooArchive['manifest']): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of archive.read(file)) pieces.push(piece);
  return Buffer.concat(pieces);
}
