import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { type Entry, fromFdPromise, type ZipFile } from 'yauzl';
import { asFailure, Failure } from '#shared/domain/failure.ts';

/**
 * What an archive may hold at most: whoever wrote it decides what it says of itself, and a small zip can unpack to petabytes.
 * Real ones: a database of 1 TB is a dump of less, and deflate packs rows 5 to 20 times.
 */
export const archiveLimits = {
  /** What is kept of each takes some 300 bytes of the worker's memory. */
  entries: 1_000_000,
  /** Of one file, unpacked. */
  fileBytes: 64 * 2 ** 30,
  dumpBytes: 2 * 2 ** 40,
  totalBytes: 4 * 2 ** 40,
  manifestBytes: 16 * 2 ** 20,
  /** Unpacked to packed, over all. Deflate cannot do more than 1032 for one file. */
  ratio: 200,
  /** Below so much nobody asks for the ratio: an empty file of zeros is no attack. */
  ratioFromBytes: 256 * 2 ** 20,
};
export type ArchiveLimits = typeof archiveLimits;

/** A file in an archive. Of what the list of contents says only what reading it needs: there may be many. */
export type ArchivedFile = {
  /** Of the filestore: its path there; else its name. */
  path: string;
  /** Unpacked. */
  bytes: number;
  packedBytes: number;
  crc32: number;
  isDeflated: boolean;
  /** Of its header in the archive. */
  offset: number;
};

/** An archive of Odoo's database manager whose list of contents was found right. */
export type OdooArchive = {
  dump: ArchivedFile;
  manifest: ArchivedFile;
  /** By their paths in the filestore: folder, and the sha1 that is their name. */
  files: ReadonlyMap<string, ArchivedFile>;
  /** The content, unpacked. @throws Failure `damaged` when it is not of the size and checksum that the list says. */
  read(file: ArchivedFile): AsyncGenerator<Buffer>;
  close(): Promise<void>;
};

/** `ab/ab…` with 40 digits. Odoo of long ago took three for the folder. */
const filePattern = /^filestore\/(([0-9a-f]{2,3})\/([0-9a-f]{40}))$/;
/** What archives have besides, and no database needs. */
const unneeded = /^(filestore\/|filestore\/[0-9a-f]{2,3}\/|filestore\/checklist\/.{0,200})$/;

/**
 * Opens a zip in a file and looks at its list of contents. Nothing is unpacked by a name of it: only `dump.sql`,
 * `manifest.json` and files of Odoo's filestore, by their own checked names, are ever read, each once.
 * @throws Failure `damaged` (no zip, or cut), `invalid-request` (something in it that Odoo does not write).
 */
export async function openOdooArchive(file: string, limits: ArchiveLimits = archiveLimits): Promise<OdooArchive> {
  const handle = await open(file, 'r');
  try {
    // it reads by the number of the handle, which stays ours to close
    const zip = await mapped(
      fromFdPromise(handle.fd, { autoClose: false, lazyEntries: true, strictFileNames: true }),
      'cannot be read as a zip',
    );
    const listed = await listEntries(zip, { limits, packedBytes: (await handle.stat()).size });
    return {
      ...listed,
      read: (file) => readFile(zip, file),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function listEntries(
  zip: ZipFile,
  { limits, packedBytes }: { limits: ArchiveLimits; packedBytes: number },
): Promise<Pick<OdooArchive, 'dump' | 'manifest' | 'files'>> {
  if (zip.entryCount > limits.entries) throw refused(`has ${zip.entryCount} entries; ${limits.entries} are allowed`);
  const files = new Map<string, ArchivedFile>();
  const others = new Map<string, ArchivedFile>();
  let total = 0;
  for await (const entry of guarded(zip)) {
    const name = entry.fileName;
    if (unneeded.test(name)) continue;
    const [, path, folder = '', sha1 = ''] = filePattern.exec(name) ?? [];
    const isFile = path !== undefined && sha1.startsWith(folder);
    if (!isFile && name !== 'dump.sql' && name !== 'manifest.json') {
      throw refused(`has ${shown(name)}, which Odoo does not put into one`);
    }
    const [place, key] = isFile ? [files, path] : [others, name];
    if (place.has(key)) throw refused(`has ${shown(name)} twice`);
    checkEntry(entry, limits);
    total += entry.uncompressedSize;
    place.set(key, archivedFile(entry, key));
  }
  if (total > limits.totalBytes || (total > limits.ratioFromBytes && total > packedBytes * limits.ratio)) {
    throw refused(`would unpack from ${packedBytes} to ${total} bytes, which no real one does`);
  }
  const [dump, manifest] = [others.get('dump.sql'), others.get('manifest.json')];
  if (dump === undefined || manifest === undefined) {
    throw refused(
      `has no ${dump === undefined ? 'dump.sql' : 'manifest.json'}: choose the format “zip (with filestore)”`,
    );
  }
  return { dump, manifest, files };
}

function archivedFile(entry: Entry, path: string): ArchivedFile {
  return {
    path,
    bytes: entry.uncompressedSize,
    packedBytes: entry.compressedSize,
    crc32: entry.crc32,
    isDeflated: entry.compressionMethod === 8,
    offset: entry.relativeOffsetOfLocalHeader,
  };
}

function checkEntry(entry: Entry, limits: ArchiveLimits): void {
  const { fileName: name, uncompressedSize: size } = entry;
  // The upper half holds the mode of the file as Unix has it: a link must not be taken for a file.
  const type = (entry.externalFileAttributes >>> 16) & 0o170000;
  if (type !== 0 && type !== 0o100000) throw refused(`has ${shown(name)}, which is no plain file`);
  if (!entry.canDecodeFileData()) {
    throw refused(`has ${shown(name)} encrypted, or packed in another way than Odoo does (stored or deflate)`);
  }
  const most =
    name === 'dump.sql' ? limits.dumpBytes : name === 'manifest.json' ? limits.manifestBytes : limits.fileBytes;
  if (size > most) throw refused(`has ${shown(name)} of ${size} bytes; ${most} are allowed`);
}

async function* guarded(zip: ZipFile): AsyncGenerator<Entry> {
  try {
    yield* zip.eachEntry();
  } catch (error) {
    throw mistakeOf(error, 'has a list of contents that cannot be read');
  }
}

async function* readFile(zip: ZipFile, file: ArchivedFile): AsyncGenerator<Buffer> {
  const what = `has ${shown(file.path)}, which cannot be unpacked`;
  const stream = await mapped(openFile(zip, file), what);
  let sum = 0;
  try {
    for await (const piece of stream) {
      sum = crc32(piece, sum);
      yield piece;
    }
  } catch (error) {
    throw mistakeOf(error, what);
  } finally {
    stream.destroy();
  }
  if (sum === file.crc32) return;
  throw new Failure('damaged', `The archive ${what}: its checksum differs. Upload it again.`);
}

/** yauzl itself ends with an error at more or fewer bytes than the list says. */
async function openFile(zip: ZipFile, { offset, packedBytes, bytes, isDeflated }: ArchivedFile): Promise<Readable> {
  // of an entry it reads these two
  const entry = { relativeOffsetOfLocalHeader: offset, compressedSize: packedBytes } as Entry;
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
  // its own promise of this calls another function (yauzl 3.4.0)
  return await new Promise((resolve, reject) => {
    zip.openReadStreamLowLevel(fileDataStart, packedBytes, 0, packedBytes, isDeflated, bytes, (error, stream) => {
      if (error === null) resolve(stream);
      else reject(error);
    });
  });
}

async function mapped<Result>(work: Promise<Result>, what: string): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw mistakeOf(error, what);
  }
}

function mistakeOf(error: unknown, what: string): Failure {
  if (error instanceof Failure) return error;
  const said = asFailure(error).message.slice(0, 200);
  return new Failure('damaged', `The archive ${what} (${said}): it is cut or damaged. Upload it again.`, {
    cause: error,
  });
}

function refused(what: string): Failure {
  return new Failure('invalid-request', `The archive ${what}. It is not imported.`);
}

function shown(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
