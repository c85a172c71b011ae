import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openS3Store } from './s3.ts';
import type { S3Limits } from './s3-client.ts';

export type Asked = { method: string; path: string; headers: IncomingMessage['headers']; body: Buffer };

/** A service that answers as a test says. */
export type AnsweringService = { endpoint: string; asked: Asked[]; close(): Promise<void> };

export async function startService(
  answer: (asked: Asked, response: ServerResponse, count: number) => void,
): Promise<AnsweringService> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      asked.push({ method, path, headers, body: Buffer.concat(pieces) });
      answer(asked.at(-1) as Asked, response, asked.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** As S3 refuses. */
export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>the words of the service</Message></Error>`);
}

/** Keeps what `alter` makes of each object; answers 200 to everything. */
export function forgetfulService(
  alter: (bytes: Buffer) => { bytes: Buffer; size?: number; checksum?: string },
  takesRanges = true,
) {
  const objects = new Map<string, { bytes: Buffer; size: number; checksum: string | undefined; writeId: string }>();
  return (asked: Asked, response: ServerResponse) => {
    const [path = ''] = asked.path.split('?');
    if (asked.method === 'PUT') {
      const { bytes, size, checksum } = alter(asked.body);
      const writeId = String(asked.headers['x-amz-meta-fleet-write']);
      objects.set(path, { bytes, size: size ?? bytes.length, checksum, writeId });
      response.writeHead(200, { etag: '"e"' }).end();
      return;
    }
    const found = objects.get(path);
    if (found === undefined) {
      refuse(response, 404, 'NoSuchKey');
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(asked.headers.range ?? '')?.[1] ?? 0);
    if (from > 0 && takesRanges && from >= found.bytes.length) {
      refuse(response, 416, 'InvalidRange');
      return;
    }
    response.writeHead(takesRanges && from > 0 ? 206 : 200, {
      etag: '"e"',
      ...(takesRanges && from > 0 ? { 'content-range': `bytes ${from}-${found.size - 1}/${found.size}` } : {}),
      'content-length': found.size - (takesRanges ? from : 0),
      'last-modified': new Date().toUTCString(),
      'x-amz-meta-fleet-write': found.writeId,
      ...(found.checksum === undefined ? {} : { 'x-amz-checksum-sha256': found.checksum }),
    });
    if (asked.method === 'HEAD') response.end();
    else response.end(found.bytes.subarray(takesRanges ? from : 0), () => response.destroy());
  };
}

/** Of a store that gives up quickly. */
export const hasty = { connectMs: 500, idleMs: 300, callMs: 1_500 };

/** A store at that endpoint that tries twice. */
export function impatientStore(endpoint: string, limits: Partial<S3Limits> = {}) {
  return openS3Store({
    endpoint,
    region: 'us-east-1',
    bucket: 'b',
    credentials: async () => ({ accessKeyId: 'a', secretAccessKey: 'secret-of-the-test' }),
    limits: { connectMs: 10_000, idleMs: 10_000, callMs: 20_000, attempts: 2, partBytes: 5 * 1024 * 1024, ...limits },
  });
}
