import { lookup as resolve } from 'node:dns';
import { type LookupFunction } from 'node:net';
import { Agent } from 'undici';

/** To connect, and for a whole answer. A login page takes milliseconds; a minute-long one is no answer. */
export const httpTimeoutMs = 5_000;

/** Kept connections to many Odoo servers: few to each, and not for long, as a fleet has hundreds. */
export function openAgent(): Agent {
  return new Agent({
    connections: 4,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: 10_000,
    connect: { timeout: httpTimeoutMs, lookup: lookupLocalhost },
  });
}

/** `*.localhost` is this machine (RFC 6761), also where the system's resolver does not know it. */
const lookupLocalhost: LookupFunction = (hostname, options, callback) => {
  resolve(/\.localhost\.?$/i.test(hostname) ? 'localhost' : hostname, options, callback);
};

/** What went wrong, without addresses or contents. */
export function whyNoAnswer(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  if (error.name === 'TimeoutError') return `no answer within ${httpTimeoutMs / 1000} s`;
  const code = (error as NodeJS.ErrnoException).code;
  return code === undefined ? 'no answer' : `no answer (${code})`;
}
