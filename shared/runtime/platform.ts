import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { openPublisher } from '#shared/adapters/eventing/publish.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import type { OpenedCache } from '#shared/adapters/redis/cache.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';
import { authoriseBy } from './authorise.ts';
import { type Config, defineConfig } from './config.ts';
import type { EventFunctionOptions } from './event-function.ts';
import { type Log, openLog } from './log.ts';
import { type Metrics, makeMetrics } from './metrics.ts';
import type { Publish } from './outbox.ts';
import { eventsOfRequest } from './own-events.ts';
import { openPlatformCache } from './platform-cache.ts';
import { openPlatformDatabase } from './platform-database.ts';
import { cache as cacheRows, platformDatabase, publishing, receiving, serving, tracing } from './rows.ts';
import { makeShutdown, type Shutdown } from './shutdown.ts';
import { type Sign, signAs } from './signing.ts';
import { storeRefused } from './store-refused.ts';
import { tracedDatabase } from './traced-database.ts';
import { openTracing } from './tracing.ts';

/** What every function needs to know. */
export const platformRows = defineConfig({
  ...serving,
  ...platformDatabase,
  ...cacheRows,
  ...publishing,
  ...receiving,
  ...tracing,
});

/** What every function has: log, numbers, the platform's records and the broker, warm for the life of the process. */
export type Platform = {
  name: string;
  log: Log;
  metrics: Metrics;
  shutdown: Shutdown;
  database: Database;
  /** Copies of rows, which what is published about an instance makes out of date. */
  cache: OpenedCache;
  /** Signs our own events and publishes them. */
  publish: Publish;
  /** Signs our own events and POSTs them straight to a function. */
  publishTo(sink: string, events: readonly OutgoingEvent[]): ReturnType<Publish>;
  /** Publishes what this request has committed to the outbox, before its answer, in 2 s at most. What fails is left for the tick. */
  flush(): Promise<void>;
  eventSource: string;
  /** Names this process in leases. */
  holder: string;
  /** The parts of an event function that are the same for all. */
  eventFunctionParts: Pick<EventFunctionOptions<[]>, 'name' | 'log' | 'metrics' | 'authorise' | 'storeDead'>;
};

/** A function answers after its steps, and may have to be started first; a broker answers at once. */
const functionTimeoutMs = 30_000;

/** Opens it. Nothing is connected before the first use. @throws Failure `misconfigured`. */
export function openPlatform(name: string, config: Config<typeof platformRows>): Platform {
  const sign = signOf(config);
  const log = openLog({ name, level: config.logLevel });
  const metrics = makeMetrics({ functionName: name });
  const shutdown = makeShutdown({ log, timeoutMs: config.drainTimeoutMs + 5_000 });
  openTracing(config, { name, log, shutdown, registry: metrics.registry });
  const opened = openPlatformDatabase(config, {
    applicationName: `fleet ${name}`,
    maxConnections: config.databasePoolMax,
    onError: (failure) => log.warn({ code: failure.code, reason: failure.message }, 'an idle connection broke'),
  });
  metrics.addPool('platform', () => opened.stats());
  const sinks = new Map<string, ReturnType<typeof openPublisher>>();
  const publisherOf = (sink: string, timeoutMs?: number) => {
    const known = sinks.get(sink);
    if (known !== undefined) return known;
    const publisher = openPublisher({
      brokerUrl: sink,
      // a function's turn may take long, and another one not
      ...(timeoutMs === undefined ? {} : { timeoutMs, beginsAll: true }),
    });
    sinks.set(sink, publisher);
    return publisher;
  };
  const cache = openPlatformCache(config, { log, metrics });
  shutdown.during('close-connections', 'cache', () => cache.close());
  const publish: Publish = async (events, limit) => {
    const told = instancesOf(events).map((id) => cache.invalidate('instance', id));
    const [result] = await Promise.all([
      publisherOf(config.brokerUrl).publish(events, { prepare: sign, ...limit }),
      ...told,
    ]);
    metrics.observePublished(publishedOf(events, result));
    return result;
  };
  shutdown.during('close-connections', 'publishers', async () => {
    await Promise.all([...sinks.values()].map((publisher) => publisher.end()));
  });
  shutdown.during('close-connections', 'platform database', () => opened.end());
  const { database, flush } = eventsOfRequest({ database: tracedDatabase(opened), publish, log });
  return {
    name,
    log,
    metrics,
    shutdown,
    database,
    cache,
    publish,
    publishTo: (sink, events) => publisherOf(sink, functionTimeoutMs).publish(events, { prepare: sign }),
    flush,
    eventSource: config.eventSource,
    holder: `${hostname()} ${process.pid} ${randomUUID().slice(0, 8)}`,
    eventFunctionParts: {
      name,
      log,
      metrics,
      authorise: authoriseBy(database, config.sourcesPolicy),
      storeDead: (event) => storeRefused(database, event),
    },
  };
}

/** Those whose rows have changed: the transaction that wrote the event was committed before it is published. */
function instancesOf(events: readonly OutgoingEvent[]): string[] {
  const ids = events.flatMap(({ type, extensions }) => {
    const id = extensions?.['partitionkey'];
    return type.startsWith('dev.odoofleet.instance.') && id !== undefined ? [id] : [];
  });
  return [...new Set(ids)];
}

/** Only what comes from the outbox has a time: that of its row. The clocks are the database's and ours. */
function publishedOf(
  events: readonly OutgoingEvent[],
  { published, failed }: Awaited<ReturnType<Publish>>,
): { delaysSeconds: number[]; failed: number } {
  const taken = new Set(published);
  const delaysSeconds = events.flatMap(({ id, time }) =>
    time !== undefined && taken.has(id) ? [Math.max(Date.now() - time.getTime(), 0) / 1_000] : [],
  );
  return { delaysSeconds, failed: failed.filter(({ isLeft }) => isLeft !== true).length };
}

function signOf({ eventSource, eventSigningKey, sourcesPolicy }: Config<typeof platformRows>): Sign {
  if (sourcesPolicy === 'signed' && eventSigningKey === undefined) {
    const text = 'SOURCES_POLICY is signed: our own events need a signature, too. Set EVENT_SIGNING_KEY_FILE.';
    throw new Failure('misconfigured', text);
  }
  return signAs(eventSource, eventSigningKey);
}
