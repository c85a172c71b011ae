import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { encryptedStore } from '#shared/adapters/objectstore/encrypted.ts';
import type { Downloads, Export, ExportedArchive } from '#shared/domain/backup/export.ts';
import { openExportLink } from '#shared/domain/backup/export-link.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import type { Signer } from '#shared/domain/backup/manifest-seal.ts';
import { asFailure, Failure, failureCodes } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import type { HttpHandler } from '#shared/runtime/http-function.ts';
import type { Log } from '#shared/runtime/log.ts';
import { type ByteRange, beginningOf, rangeOf } from './range.ts';

export type DownloadPorts = {
  downloads: Downloads;
  store: ObjectStore;
  wrapper: Pick<KeyWrapper, 'unwrap'>;
  signer: Pick<Signer, 'isSigned'>;
  log: Log;
};

/**
 * Gives a customer the archive that his link leads to, decrypted as it is sent. Whatever is wrong with a link, it is
 * answered in one way: nobody learns what exists. A download that was broken off goes on by a Range; a stream whose end
 * turns out wrong is broken off, and never ended as if it were whole.
 */
export function downloadHandler(ports: DownloadPorts): HttpHandler {
  return async (request, response) => {
    const { method = 'GET', headers } = request;
    try {
      if (method !== 'GET' && method !== 'HEAD')
        return answer(response, 405, 'Only GET and HEAD.', { allow: 'GET, HEAD' });
      const found = await findExport(ports, request.url ?? '/');
      if (found === undefined)
        return answer(response, 404, 'This link leads nowhere, or its time is over. Ask for a new one.');
      await send(response, { ...found, method, headers, ports });
    } catch (caught) {
      const failure = asFailure(caught);
      if (failure.code === 'internal') ports.log.error({ err: failure }, 'a download ended with a bug');
      else ports.log.warn({ code: failure.code, text: failure.message }, 'a download failed');
      if (response.headersSent) return void response.destroy();
      const isTransient = failureCodes[failure.code] === 'transient';
      answer(response, isTransient ? 503 : 500, 'The archive cannot be read now. Try again, or ask for a new export.');
    }
  };
}

type Found = { export: Export; archive: ExportedArchive; fileName: string };

async function findExport({ downloads, signer }: DownloadPorts, url: string): Promise<Found | undefined> {
  const target = openExportLink(url.split('?')[0] ?? '', signer);
  if (target === undefined || target.expiresAt.getTime() <= Date.now()) return undefined;
  const found = await downloads.find(target.exportId);
  if (found === undefined || found.export.archive === null) return undefined;
  const day = found.export.startedAt.toISOString().slice(0, 10);
  const name = found.instanceName.replaceAll(/[^A-Za-z0-9-]/g, '-');
  return { export: found.export, archive: found.export.archive, fileName: `${name}-${day}.zip` };
}

type Sending = Found & { method: string; headers: IncomingHttpHeaders; ports: DownloadPorts };

async function send(response: ServerResponse, sending: Sending): Promise<void> {
  const { archive, fileName, method, headers, ports } = sending;
  const etag = `"${archive.sha256}"`;
  // a part of another archive would not fit what the client has
  const isSame = headers['if-range'] === undefined || headers['if-range'] === etag;
  const range = isSame ? rangeOf(headers.range, archive.bytes) : 'whole';
  const common = {
    ...safe,
    'accept-ranges': 'bytes',
    'content-disposition': `attachment; filename="${fileName}"`,
    etag,
  };
  if (range === 'unsatisfiable') {
    return answer(response, 416, 'The archive ends before.', {
      ...common,
      'content-range': `bytes */${archive.bytes}`,
    });
  }
  const part: ByteRange = range === 'whole' ? { first: 0, last: archive.bytes - 1 } : range;
  const content = method === 'HEAD' ? undefined : await openArchive(sending, part.first);
  response.writeHead(range === 'whole' ? 200 : 206, {
    ...common,
    'content-type': 'application/zip',
    'content-length': part.last - part.first + 1,
    ...(range === 'whole' ? {} : { 'content-range': `bytes ${part.first}-${part.last}/${archive.bytes}` }),
  });
  if (content === undefined) return void response.end();
  // any part: all but one byte is the archive, too
  await ports.downloads.note(sending.export.id);
  await pipeline(
    Readable.from(beginningOf(content, part.last - part.first + 1), { objectMode: false }),
    response,
  ).catch((error: unknown) => {
    // the client may go whenever it likes
    if (!response.destroyed || error instanceof Failure) throw error;
  });
}

async function openArchive({ export: found, archive, ports }: Sending, from: number): Promise<AsyncIterable<Buffer>> {
  const { id, instanceId, archiveKey } = found;
  const context = { purpose: 'export', instanceId, backupId: id } as const;
  const key = await ports.wrapper.unwrap(archiveKey ?? '', context);
  const store = encryptedStore(ports.store, key);
  // looked at before: what is opened must be read
  const head = await store.head(archive.key);
  const read = head?.size === archive.bytes ? await store.read(archive.key, { from }) : undefined;
  if (read !== undefined) return read.bytes;
  throw new Failure('damaged', `The archive ${archive.key} is not in the store as it was written.`);
}

const safe = {
  'cache-control': 'private, no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-robots-tag': 'noindex',
};

function answer(response: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  const body = `${text}\n`;
  response.writeHead(status, {
    ...safe,
    ...headers,
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
