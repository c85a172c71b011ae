import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent } from 'undici';
import { type AcceptContext, acceptEvent } from './accept.ts';
import { openDispatch } from './dispatch.ts';
import { type BrokerEvent, NotACloudEvent } from './event.ts';
import { type Faults, openCopies } from './faults.ts';
import { watchIdleness } from './idleness.ts';
import { listenForEvents, portOf } from './ingress.ts';
import { memoryJournal, openJournal } from './journal.ts';
import { type MannerName, manners } from './manners.ts';
import { resume } from './resume.ts';
import type { BrokerTrigger } from './routing.ts';
import { type BrokerStats, emptyStats } from './stats.ts';

const BROKER_NAMESPACE = 'odoo-fleet';
const BROKER_NAME = 'fleet';

export type BrokerOptions = {
  /** Holds the journal and the dead letters that no function takes. Made when missing; one broker at a time. */
  folder: string;
  /** A free one unless stated. */
  port?: number;
  triggers: readonly BrokerTrigger[];
  /** Where a Knative Service answers; asked before every delivery. */
  subscriberUrl: (serviceName: string) => string;
  /** Where a dead letter sink answers. undefined: it has no function, and each dead letter becomes a file in the folder. */
  deadLetterUrl?: (serviceName: string) => string | undefined;
  /** `rabbitmq` unless stated. */
  manners?: MannerName;
  /** Answers the publisher at once where the class does not: annotation messaging.knative.dev/async-handler. */
  isAsynchronous?: boolean;
  /** Deliveries at a time for Triggers whose manifest does not say; 4 unless stated. */
  parallelism?: number;
  faults?: Faults;
  log?: (message: string, facts: Record<string, unknown>) => void;
};

export type Broker = {
  /** Where publishers POST. */
  url: string;
  /** A copy of the counts since the start. */
  stats(): BrokerStats;
  /** Resolves when nothing is being accepted, queued, retried or dead-lettered. */
  idle(): Promise<void>;
  /** For events accepted from now on; undefined ends them. */
  setFaults(faults: Faults | undefined): void;
  /** Replaces the dispatchers, as an update of the broker or a drained node does: see `rollout` in the manners. */
  rollOut(): Promise<void>;
  /** Aborts what is in flight. What was accepted and not delivered waits in the folder, if the class is durable. */
  stop(): Promise<void>;
};

/** Starts a broker on 127.0.0.1 that treats events as the Knative broker class named by `manners` does. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const manner = manners[options.manners ?? 'rabbitmq'];
  for (const { name, broker } of options.triggers) {
    if (broker !== BROKER_NAME) throw new Error(`Trigger ${name} is for broker ${broker}; this one is ${BROKER_NAME}`);
  }
  const log = options.log ?? ((): void => undefined);
  await mkdir(options.folder, { recursive: true });
  const journal = manner.isDurable ? await openJournal(options.folder) : memoryJournal();
  const httpDispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const stats = emptyStats(options.triggers.map(({ name }) => name));
  const idleness = watchIdleness(() => dispatch.size() === 0);
  const copies = openCopies(options.faults);

  const dispatch = openDispatch({
    triggers: options.triggers,
    manner,
    journal,
    stats,
    httpDispatcher,
    subscriberUrl: options.subscriberUrl,
    deadLetterUrl: options.deadLetterUrl ?? ((): undefined => undefined),
    deadLetterFolder: join(options.folder, 'dead-letters'),
    parallelism: options.parallelism ?? 4,
    onReply: (event) => acceptReply(context, event, log),
    onChange: idleness.check,
    log,
  });

  const context: AcceptContext = {
    triggers: options.triggers,
    manner,
    isAsynchronous: options.isAsynchronous === true,
    journal,
    dispatch,
    copies,
    stats,
  };
  const close = async (): Promise<void> => {
    await dispatch.stop();
    await journal.close();
    await httpDispatcher.destroy();
  };

  resume(context, log);
  const accept = (event: BrokerEvent, publisherGone: AbortSignal): Promise<void> =>
    idleness.during(acceptEvent(context, event, { publisherGone }));
  const server = await listenForEvents(accept, {
    path: `/${BROKER_NAMESPACE}/${BROKER_NAME}`,
    port: options.port ?? 0,
    onRefused: (reason) => {
      stats.refused += 1;
      log('request refused', { reason });
    },
    onError: (error) => log('event not accepted', { error: String(error) }),
  }).catch(async (cause: unknown) => {
    await close();
    throw cause;
  });

  return {
    url: `http://127.0.0.1:${portOf(server)}/${BROKER_NAMESPACE}/${BROKER_NAME}`,
    stats: () => structuredClone(stats),
    idle: idleness.wait,
    setFaults: copies.setFaults,
    rollOut: () => idleness.during(dispatch.rollOut()),
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await close();
    },
  };
}

/** A reply that is refused is dropped: nobody waits for an answer to it. */
async function acceptReply(
  context: AcceptContext,
  event: BrokerEvent,
  log: NonNullable<BrokerOptions['log']>,
): Promise<void> {
  try {
    await acceptEvent(context, event);
  } catch (error) {
    if (!(error instanceof NotACloudEvent)) throw error;
    context.stats.refused += 1;
    log('reply dropped', { id: event.attributes['id'], reason: error.message });
  }
}
