import { Agent } from 'undici';
import { isBrokerAttribute, isStructuredMode } from './broker-attributes.ts';

/** An event as it was kept: attributes as their headers held them, the body byte for byte. */
export type KeptEvent = {
  contentType: string | null;
  attributes: Readonly<Record<string, string>>;
  body: Buffer;
};

/** The request that sends a kept event again. */
export type ResendMessage = { headers: Record<string, string>; body: Buffer };

/** The status it was answered with, or why there is no answer: it may have been received all the same. */
export type ResendResult = { status: number } | { reason: string };

export type Resender = {
  /** Never throws. */
  send(url: string, message: ResendMessage): Promise<ResendResult>;
  end(): Promise<void>;
};

/**
 * The event as its publisher sent it: without what brokers added, with nothing of ours. In structured mode the body is
 * written anew only if a broker's attribute is in it.
 */
export function resendMessage(event: KeptEvent): ResendMessage {
  const { contentType, attributes, body } = event;
  const headers: Record<string, string> = contentType === null ? {} : { 'content-type': contentType };
  if (isStructuredMode(contentType)) return { headers, body: withoutBrokerAttributes(body) };
  for (const [name, value] of Object.entries(attributes)) {
    if (!isBrokerAttribute(name)) headers[`ce-${name}`] = value;
  }
  return { headers, body };
}

function withoutBrokerAttributes(body: Buffer): Buffer {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return body;
    const entries = Object.entries(parsed);
    const kept = entries.filter(([name]) => !isBrokerAttribute(name));
    return kept.length === entries.length ? body : Buffer.from(JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // it came broken and goes broken; whoever gets it says so
    return body;
  }
}

/** Sends kept events to brokers and functions over kept connections. A redirect is an answer and is not followed. */
export function openResender(options: { timeoutMs?: number; connections?: number } = {}): Resender {
  const timeoutMs = options.timeoutMs ?? 10_000;
  const agent = new Agent({ connections: options.connections ?? 16, connect: { timeout: timeoutMs } });
  return {
    async send(url, { headers, body }) {
      try {
        const { statusCode, body: answer } = await agent.request({
          ...targetOf(url),
          method: 'POST',
          headers,
          body,
          signal: AbortSignal.timeout(timeoutMs),
        });
        await answer.dump();
        return { status: statusCode };
      } catch (error) {
        return { reason: reasonOf(error, timeoutMs) };
      }
    },
    end: () => agent.close(),
  };
}

function targetOf(url: string): { origin: string; path: string } {
  const { origin, pathname, search } = new URL(url);
  return { origin, path: `${pathname}${search}` };
}

function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError' || error.name === 'ConnectTimeoutError') return `no answer within ${timeoutMs} ms`;
  const code = 'code' in error ? ` (${String(error.code)})` : '';
  return `not sent: ${error.message === '' ? error.name : error.message}${code}`;
}
