import { CloudEvent, HTTP } from 'cloudevents';
import { Pool } from 'undici';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { parseTrace, type TraceContext, traceAttributes } from '#shared/domain/trace/trace-context.ts';
import { currentContext } from '../tracing/request-context.ts';
import { inSpan } from '../tracing/spans.ts';
import { checkAttributes } from './attributes.ts';
import { encodeValue } from './headers.ts';
import { isPlainReference } from './plain-reference.ts';

/**
 * What became of each event. A failed one was perhaps received all the same: it is sent again under the same id. `isLeft`:
 * its sending was never begun, and says nothing of it.
 */
export type PublishResult = { published: string[]; failed: { id: string; reason: string; isLeft?: true }[] };

type Prepare = (event: OutgoingEvent) => Promise<OutgoingEvent>;

export type PublishOptions = {
  /** Has the last word on each event; it is where they are signed. */
  prepare?: Prepare;
  /**
   * For all of them together. None is begun in the second half of it, so that those on their way may still be answered;
   * those that were not begun are in `failed`, too. Default: as long as it takes.
   */
  withinMs?: number;
};

/** Sends events to one sink over kept connections. */
export type Publisher = {
  /**
   * Never throws: an event that cannot be sent is in `failed`, with the reason. Once the sink has let one wait too long, no
   * more are begun in this call, unless it `beginsAll`: its caller waits, too.
   */
  publish(events: readonly OutgoingEvent[], options?: PublishOptions): Promise<PublishResult>;
  /** Waits for what is being sent, then closes the connections. */
  end(): Promise<void>;
};

/** What an event is sent with. */
type Patience = { prepare: Prepare | undefined; withinMs: number };

/** Why an event was not sent, or is perhaps not. */
type Sent = { reason?: string; isHung?: boolean; isLeft?: true };

export type PublisherOptions = {
  /** The sink: a broker's ingress, or a function for commands that must not wait for a broker. */
  brokerUrl: string;
  /** For one event, connecting included. Default 2,000 ms: the sender's caller waits for it. */
  timeoutMs?: number;
  /** Events on their way at once, and connections. Default 8. */
  concurrency?: number;
  /** Being slow over one event says nothing of the next: all are begun, whatever became of the others. */
  beginsAll?: boolean;
};

/**
 * Opens a publisher. Events are built and serialised by the `cloudevents` SDK; sending is ours, because the SDK's
 * emitter resolves on any status, keeps no connections and has no timeout.
 */
export function openPublisher(options: PublisherOptions): Publisher {
  const { origin, pathname, search } = new URL(options.brokerUrl);
  const timeoutMs = options.timeoutMs ?? 2_000;
  const concurrency = options.concurrency ?? 8;
  const pool = new Pool(origin, { connections: concurrency, connect: { timeout: timeoutMs } });

  function send(event: OutgoingEvent, patience: Patience): Promise<Sent> {
    return inSpan(spanOf(event), async (note) => {
      const sent = await trySending(event, patience);
      note({ 'fleet.published': sent.reason === undefined });
      return sent;
    });
  }

  async function trySending(event: OutgoingEvent, { prepare, withinMs }: Patience): Promise<Sent> {
    try {
      const prepared = prepare === undefined ? event : await prepare(event);
      const { headers, body } = serialise(prepared, currentContext());
      const { statusCode, body: answer } = await pool.request({
        method: 'POST',
        path: `${pathname}${search}`,
        headers,
        body,
        signal: AbortSignal.timeout(withinMs),
      });
      await answer.dump();
      return statusCode >= 200 && statusCode < 300 ? {} : { reason: `answered with status ${statusCode}` };
    } catch (error) {
      if (isTimeout(error)) return { reason: `no answer within ${withinMs} ms`, isHung: true };
      return { reason: reasonOf(error) };
    }
  }

  return {
    async publish(events, { prepare, withinMs = Number.POSITIVE_INFINITY } = {}) {
      const result: PublishResult = { published: [], failed: [] };
      const startedMs = performance.now();
      const leftMs = () => withinMs - (performance.now() - startedMs);
      const waiting = events.values();
      let hung: string | undefined;
      const next = async (event: OutgoingEvent): Promise<Sent> => {
        if (hung !== undefined) return { reason: hung, isLeft: true };
        const left = leftMs();
        if (left <= 0 || left < withinMs / 2) return { reason: 'not sent: there was no time left', isLeft: true };
        return await send(event, { prepare, withinMs: Math.ceil(Math.min(timeoutMs, left)) });
      };
      const work = async () => {
        // one iterator for all: each takes the next event
        for (const event of waiting) {
          const { reason, isHung, isLeft } = await next(event);
          if (isHung === true && options.beginsAll !== true) hung = reason;
          if (reason === undefined) result.published.push(event.id);
          else result.failed.push({ id: event.id, reason, ...(isLeft && { isLeft }) });
        }
      };
      await Promise.all(Array.from({ length: Math.min(concurrency, events.length) }, work));
      return result;
    },
    end: () => pool.close(),
  };
}

/**
 * The request that carries an event, in binary mode. The content type is always stated: without it some CloudEvent
 * hosts answer 500. Attributes are ASCII: what is not is percent-encoded, which the SDK leaves out.
 */
export function serialise(
  event: OutgoingEvent,
  current?: TraceContext,
): { headers: Record<string, string>; body: string } {
  // one by one: whatever else the value carries is no attribute
  const { id, type, source, subject, time, extensions } = event;
  const attributes = {
    ...extensions,
    id,
    type,
    source,
    datacontenttype: 'application/json',
    ...(subject === undefined ? {} : { subject }),
    ...(time === undefined ? {} : { time: time.toISOString() }),
  };
  checkAttributes({ ...attributes, specversion: '1.0' });
  const message = HTTP.binary(new CloudEvent(attributes, !isPlainReference(source)));
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    headers[name] = name.startsWith('ce-') ? encodeValue(String(value)) : String(value);
  }
  Object.assign(headers, traceAttributes(hopOf(eventTrace(event), current)));
  // the SDK would send text data bare, which is no JSON
  return { headers, body: JSON.stringify(event.data ?? null) };
}

function eventTrace({ extensions }: OutgoingEvent): TraceContext | undefined {
  return parseTrace(extensions?.['traceparent'], extensions?.['tracestate']);
}

/** The header tells of this hop, within the event's own trace: a tick that sends an event for another request has no part in it. */
function hopOf(own: TraceContext | undefined, current: TraceContext | undefined): TraceContext | undefined {
  return own === undefined || own.traceId === current?.traceId ? (current ?? own) : own;
}

function spanOf(event: OutgoingEvent): Parameters<typeof inSpan>[0] {
  return {
    name: `publish ${event.type}`,
    kind: 'producer',
    attributes: { 'cloudevents.event_id': event.id, 'cloudevents.event_type': event.type },
    under: eventTrace(event),
  };
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === 'TimeoutError' || error.name === 'ConnectTimeoutError');
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? ` (${String(error.code)})` : '';
  return `not sent: ${error.message === '' ? error.name : error.message}${code}`;
}
