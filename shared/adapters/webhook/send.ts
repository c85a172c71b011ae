import { Agent, type Dispatcher } from 'undici';
import { Failure } from '#shared/domain/failure.ts';
import { type AttemptResult, retryAfterOf } from '#shared/domain/webhook/retry.ts';
import type { TargetPolicy } from '#shared/domain/webhook/target.ts';
import { connectTo, type ResolveHost, resolveByServers } from './public-connect.ts';

/** Sends messages to receivers that are nobody's of ours. */
export type WebhookSender = {
  /** Never throws. */
  send(message: { url: string; headers: Readonly<Record<string, string>>; body: string }): Promise<AttemptResult>;
  end(): Promise<void>;
};

export type WebhookSenderOptions = {
  policy: TargetPolicy;
  /** For a whole try: name, connection, request and answer. Default 10 s. */
  timeoutMs?: number;
  resolve?: ResolveHost;
  allows?: (address: string) => boolean;
};

/** Of an answer's body so much is read, so that the connection can be kept; with more to come it is closed. */
const answerBytesAtMost = 16 * 1024;

/**
 * Connections are kept for what comes next. Customers may share a host of theirs: one that is slow to one of them has enough for
 * the others. A redirect is an answer and is not followed; where it
 * leads was checked by nobody.
 */
export function openWebhookSender(options: WebhookSenderOptions): WebhookSender {
  const { policy, timeoutMs = 10_000, resolve = resolveByServers(), allows } = options;
  const agent = new Agent({
    connect: connectTo(policy, { timeoutMs, resolve, ...(allows === undefined ? {} : { allows }) }),
    connections: 64,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: 30_000,
    maxHeaderSize: 16 * 1024,
  });
  return {
    async send({ url, headers, body }) {
      const { origin, pathname, search } = new URL(url);
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const answer = await agent.request({
          origin,
          path: `${pathname}${search}`,
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'odoo-fleet-webhook/1' },
          body,
          signal,
        });
        await finish(answer, signal);
        return resultOf(answer);
      } catch (error) {
        return { status: null, error: whyNot(error, timeoutMs) };
      }
    },
    end: () => agent.destroy(),
  };
}

/** Reads what is left, or closes the connection: an answer without end is none of ours to wait for. The status counts already. */
async function finish({ body }: Dispatcher.ResponseData, signal: AbortSignal): Promise<void> {
  let read = 0;
  try {
    for await (const chunk of body) {
      read += (chunk as Buffer).length;
      if (read > answerBytesAtMost || signal.aborted) break;
    }
  } catch {
    // cut by the deadline, or by the receiver
  }
  // after the end it does nothing
  body.destroy();
}

function resultOf({ statusCode: status, headers }: Dispatcher.ResponseData): AttemptResult {
  if (status >= 200 && status < 300) return { status, error: null };
  const header = headers['retry-after'];
  const retryAfterMs = retryAfterOf(typeof header === 'string' ? header : undefined, Date.now());
  const error = status >= 300 && status < 400 ? `answered ${status}; redirects are not followed` : `answered ${status}`;
  return { status, error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** In words for the customer, who sees them: without addresses, which would make the log a map of what is reached from here. */
function whyNot(error: unknown, timeoutMs: number): string {
  if (error instanceof Failure) return `not sent: ${error.message}`;
  if (!(error instanceof Error)) return 'not sent';
  if (error.name === 'TimeoutError' || error.name === 'ConnectTimeoutError') {
    return `no answer within ${timeoutMs / 1_000} s`;
  }
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? 'not sent' : `not sent (${code})`;
}
