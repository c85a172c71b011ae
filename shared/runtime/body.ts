import type { IncomingMessage } from 'node:http';

/** The largest body that is handed over whole: brokers take at most about as much. */
export const defaultBodyLimitBytes = 1024 * 1024;

// A sender that is still sending cannot read the answer, so some of what is too much is read and thrown away.
const discardedBytes = 16 * 1024 * 1024;

/** A body, or the beginning of one that is larger than the limit. */
export type Body = { body: Buffer; isTooLarge: boolean };

/**
 * Reads the body of a request. `onRead` is called once: at the end of the body, or when it is hopelessly too large;
 * never when the sender went away before.
 */
export function readBody(request: IncomingMessage, options: { limit: number; onRead: (read: Body) => void }): void {
  const chunks: Buffer[] = [];
  let size = 0;
  let isRead = false;
  const finish = () => {
    if (isRead) return;
    isRead = true;
    const [first] = chunks;
    const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
    options.onRead({ body, isTooLarge: size > options.limit });
  };
  request.on('data', (chunk: Buffer) => {
    if (size <= options.limit) chunks.push(chunk);
    size += chunk.length;
    if (size > options.limit + discardedBytes) finish();
  });
  request.on('end', finish);
  // the sender is gone; nobody waits for an answer
  request.on('error', () => {
    isRead = true;
  });
}
