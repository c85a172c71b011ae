import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, request } from 'undici';
import type { Trigger } from '../manifests.ts';
import { type BrokerEvent, NotACloudEvent, readEvent, toRequest } from './event.ts';
import { type Answer, backoffMs, type Manner, verdictOf } from './manners.ts';

/** How the delivery of one event to one subscriber ended. */
export type Outcome =
  | { kind: 'delivered'; reply?: BrokerEvent }
  /** Acknowledged although the subscriber refused it. */
  | { kind: 'lost'; code: number | undefined }
  /** `attributes`: the knativeerror… attributes of the dead letter. */
  | { kind: 'dead-letter'; attributes: Record<string, string> }
  /** The signal was aborted: the subscriber may or may not have had it. */
  | { kind: 'aborted' };

export type DeliverOptions = {
  /** Asked before every attempt. One that throws counts as a subscriber that cannot be reached. */
  url: () => string;
  delivery: Trigger['delivery'];
  manner: Manner;
  httpDispatcher: Dispatcher;
  signal: AbortSignal;
  onRetry: (code: number | undefined) => void;
};

// Knative keeps at most this much of an answer in knativeerrordata.
const ERROR_DATA_CHARACTERS = 1024;

/**
 * Delivers one event, with retries. An attempt that takes longer than the delivery's timeout is given up on the broker's
 * side only: the subscriber is not told, and the next attempt may run beside it. Never throws.
 */
export async function deliver(event: BrokerEvent, options: DeliverOptions): Promise<Outcome> {
  const { delivery, manner, signal } = options;
  for (let attempt = 0; ; attempt++) {
    const received = await attemptOnce(event, options);
    if (signal.aborted) return { kind: 'aborted' };
    const { verdict, code, namesDestination } = verdictOf(manner, received.answer);
    if (verdict === 'done') {
      return received.reply === undefined ? { kind: 'delivered' } : { kind: 'delivered', reply: received.reply };
    }
    if (verdict === 'lost') return { kind: 'lost', code };
    if (verdict === 'dead-letter' || attempt === delivery.retry) {
      const attributes: Record<string, string> = {};
      if (namesDestination) attributes['knativeerrordest'] = received.url;
      if (code !== undefined) attributes['knativeerrorcode'] = String(code);
      if (namesDestination && manner.givesErrorData) attributes['knativeerrordata'] = received.errorData;
      return { kind: 'dead-letter', attributes };
    }
    options.onRetry(code);
    try {
      await sleep(backoffMs(manner, attempt, delivery.backoff), undefined, { signal });
    } catch {
      // the only way a wait ends early
      return { kind: 'aborted' };
    }
  }
}

type Received = { url: string; answer: Answer; reply?: BrokerEvent; errorData: string };

async function attemptOnce(event: BrokerEvent, options: DeliverOptions): Promise<Received> {
  const { headers, body } = toRequest(event);
  Object.assign(headers, options.manner.deliveryHeaders);
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), options.delivery.timeoutMs);
  let url = '';
  try {
    url = options.url();
    const by = {
      dispatcher: options.httpDispatcher,
      signal: AbortSignal.any([options.signal, timeout.signal]),
    };
    const first = await request(url, { method: 'POST', headers, body, ...by });
    const response = options.manner.followsRedirects ? await follow(first, url, by) : first;
    const answered = Buffer.from(await response.body.arrayBuffer());
    const errorData = answered.toString('base64').slice(0, ERROR_DATA_CHARACTERS);
    return { url, ...classify(response.statusCode, response.headers, answered), errorData };
  } catch (error) {
    // refused, reset, timed out, or the attributes do not fit into headers: no answer in every case
    const message = error instanceof Error ? error.message : String(error);
    const kind = timeout.signal.aborted ? 'late' : 'none';
    return { url, answer: { kind }, errorData: Buffer.from(`dispatch error: ${message}`).toString('base64') };
  } finally {
    clearTimeout(timer);
  }
}

// Go's HTTP client gives up after ten.
const MOST_REDIRECTS = 10;

/** The answer at the end of a chain of redirects: 301, 302 and 303 by GET, without the event. */
async function follow(
  first: Dispatcher.ResponseData,
  url: string,
  by: { dispatcher: Dispatcher; signal: AbortSignal },
): Promise<Dispatcher.ResponseData> {
  let response = first;
  let at = url;
  for (let hop = 0; hop < MOST_REDIRECTS; hop++) {
    const { location } = response.headers;
    if (typeof location !== 'string' || ![301, 302, 303].includes(response.statusCode)) return response;
    await response.body.dump();
    at = new URL(location, at).href;
    response = await request(at, { method: 'GET', ...by });
  }
  throw new Error(`stopped after ${MOST_REDIRECTS} redirects`);
}

function classify(
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: Buffer,
): { answer: Answer; reply?: BrokerEvent } {
  try {
    const reply = readEvent(headers as Parameters<typeof readEvent>[0], body);
    return { answer: { kind: 'status', status, body: 'event' }, reply };
  } catch (error) {
    if (!(error instanceof NotACloudEvent)) throw error;
    return { answer: { kind: 'status', status, body: body.length === 0 ? 'empty' : 'foreign' } };
  }
}
