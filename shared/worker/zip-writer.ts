import { Readable } from 'node:stream';
import { ZipFile } from 'yazl';

/** A file of an archive. */
export type ZipEntry = {
  /** With `/` between folders, and none at its beginning. */
  name: string;
  content: AsyncIterable<Uint8Array>;
  /** Of zlib: 1 is quick, 6 its usual one. */
  level: number;
};

/**
 * The bytes of a zip archive, as the contents come; the sizes are not known before, and are written behind each content
 * as the format allows. Archives and files of 4 GiB and more are written as ZIP64. What a content throws is thrown.
 */
export async function* zipOf(entries: AsyncIterable<ZipEntry>, mtime: Date): AsyncGenerator<Buffer> {
  const zip = new ZipFile();
  const output = zip.outputStream as Readable;
  // the one who reads learns of it
  zip.on('error', (error: Error) => output.destroy(error));
  const over = new AbortController();
  const adding = addAll(zip, entries, { mtime, signal: over.signal }).catch((error: unknown) => {
    output.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  try {
    for await (const piece of output) yield piece as Buffer;
  } finally {
    over.abort();
    output.destroy();
    await adding;
  }
}

/** One after another: the next entry is asked for when the one before was read to its end. */
async function addAll(
  zip: ZipFile,
  entries: AsyncIterable<ZipEntry>,
  { mtime, signal }: { mtime: Date; signal: AbortSignal },
): Promise<void> {
  for await (const { name, content, level } of entries) {
    if (signal.aborted) return;
    const stream = Readable.from(content, { objectMode: false });
    const read = new Promise<void>((resolve, reject) => {
      stream.once('end', resolve).once('error', reject).once('close', resolve);
    });
    const stop = () => void stream.destroy();
    signal.addEventListener('abort', stop, { once: true });
    zip.addReadStreamLazy(name, { mtime, mode: 0o100644, compressionLevel: level }, (give) => give(null, stream));
    await read;
    signal.removeEventListener('abort', stop);
  }
  zip.end();
}
