import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Dispatcher, request } from 'undici';

// Headers that belong to one connection, not to the request (RFC 9110 §7.6.1).
const ownHeaders = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

/**
 * Forwards a request to a function's process and its answer back. 502 when the process is gone or goes away, 504 when
 * it has not answered within `timeoutMs`, as Serving's queue-proxy does; the process is not told in either case.
 * A caller that goes away ends the forwarded request too. Never throws.
 */
export async function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  options: {
    url: string;
    dispatcher: Dispatcher;
    timeoutMs: number;
    /** Awaited before the 502 of a connection that broke. */
    whenLost: () => Promise<void>;
  },
): Promise<void> {
  const abort = new AbortController();
  let isTimeout = false;
  const timer = setTimeout(() => {
    isTimeout = true;
    abort.abort();
  }, options.timeoutMs);
  outgoing.once('close', () => abort.abort());
  try {
    const hasBody =
      incoming.headers['content-length'] !== undefined || incoming.headers['transfer-encoding'] !== undefined;
    const response = await request(options.url, {
      method: (incoming.method ?? 'GET') as Dispatcher.HttpMethod,
      headers: passedOn(incoming.headers),
      body: hasBody ? incoming : null,
      dispatcher: options.dispatcher,
      signal: abort.signal,
    });
    outgoing.writeHead(response.statusCode, passedOn(response.headers));
    await pipeline(response.body, outgoing);
  } catch (error) {
    if (outgoing.destroyed) return;
    if (!isTimeout) await options.whenLost();
    if (outgoing.headersSent) {
      outgoing.destroy();
      return;
    }
    const reason = isTimeout ? 'request timeout' : `the function's process did not answer: ${messageOf(error)}`;
    outgoing.writeHead(isTimeout ? 504 : 502, { 'content-type': 'text/plain', connection: 'close' }).end(`${reason}\n`);
  } finally {
    clearTimeout(timer);
  }
}

function passedOn(headers: Record<string, string | string[] | undefined>): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !ownHeaders.has(name)) kept[name] = value;
  }
  return kept;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
