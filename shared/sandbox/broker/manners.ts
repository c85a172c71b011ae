/** What a broker does with one answer of a subscriber. */
export type Verdict = 'done' | 'retry' | 'dead-letter' | 'lost';

/** How one class of Knative broker treats events, measured or read in its source. */
export type Manner = {
  /** An answer that is neither success nor worth another attempt: 400, 401, 403, 410, 413, 422, 425 and the like. */
  refused: Verdict;
  /** A 3xx that is not followed. */
  redirected: Verdict;
  /** Is the `Location` of a redirect asked, as Go's HTTP client does: by GET without the event? What answers there counts. */
  followsRedirects: boolean;
  /** 2xx with a body that is no CloudEvent. */
  foreignBody: { verdict: Verdict; namesDestination: boolean };
  /** `knativeerrorcode` of a delivery that got no answer: refused, reset. */
  noAnswerCode: number | undefined;
  /** Of one that was given up after the delivery's timeout. */
  late: { code: number | undefined; namesDestination: boolean };
  /** Answers of which a dead letter says nothing. */
  unnamedStatuses: readonly number[];
  /** Has a dead letter `knativeerrordata`, the subscriber's answer in base64? */
  givesErrorData: boolean;
  /** The wait before retry n (from 0): `delayMs` × 2^(n + this) when exponential, × (n + this) when linear. */
  firstBackoffStep: 0 | 1;
  /** When is the publisher answered? `delivered`: when every subscriber is done, retries and dead letter included. */
  answersWhen: 'stored' | 'delivered';
  isDurable: boolean;
  /** In flight at a time: the Trigger's parallelism, or everything there is. */
  concurrency: 'parallelism' | 'unlimited';
  /** Are events of one `partitionkey` delivered one after the other? */
  ordersByPartitionKey: boolean;
  /** What a dispatcher that is told to stop (every rollout, every drained node) does with what it holds. */
  rollout: 'dead-letters-held' | 'keeps' | 'loses';
  /** In a Trigger's filter, does "" match every value? */
  emptyFilterMatchesAny: boolean;
  /** Does a Trigger's `spec.filters` count, and then instead of its `filter`? */
  readsFilters: boolean;
  /** So many times a reply may go through the broker (`knativebrokerttl`); undefined: a loop of replies never ends. */
  hopLimit: number | undefined;
  /** Attribute the broker adds to what it delivers. */
  addsArrivalTime: boolean;
  deliveryHeaders: Readonly<Record<string, string>>;
};

export type MannerName = 'rabbitmq' | 'in-memory' | 'kafka';

/**
 * The three classes. RabbitMQ: measured on the real data plane of eventing-rabbitmq 1.22.
 * In-memory: measured on Eventing 0.47 (MTChannelBasedBroker over InMemoryChannel).
 * Kafka: read in the source of eventing-kafka-broker 1.23, not run; ordered delivery (`delivery.order: ordered`).
 */
export const manners: Record<MannerName, Manner> = {
  rabbitmq: {
    refused: 'lost',
    redirected: 'lost',
    followsRedirects: false,
    foreignBody: { verdict: 'done', namesDestination: false },
    noAnswerCode: -1,
    late: { code: -1, namesDestination: true },
    unnamedStatuses: [],
    givesErrorData: false,
    firstBackoffStep: 1,
    answersWhen: 'stored',
    isDurable: true,
    concurrency: 'parallelism',
    ordersByPartitionKey: false,
    rollout: 'dead-letters-held',
    emptyFilterMatchesAny: false,
    readsFilters: false,
    hopLimit: undefined,
    addsArrivalTime: false,
    deliveryHeaders: {},
  },
  'in-memory': {
    refused: 'dead-letter',
    redirected: 'dead-letter',
    followsRedirects: true,
    // the broker's filter turns it into 502; the dead letter has none of the error attributes
    foreignBody: { verdict: 'retry', namesDestination: false },
    noAnswerCode: 500,
    // the channel gives up on the broker's filter a moment before the filter gives up on the subscriber
    late: { code: undefined, namesDestination: false },
    // the filter cannot pass it on
    unnamedStatuses: [304],
    givesErrorData: true,
    firstBackoffStep: 0,
    answersWhen: 'delivered',
    isDurable: false,
    concurrency: 'unlimited',
    ordersByPartitionKey: false,
    rollout: 'loses',
    emptyFilterMatchesAny: true,
    readsFilters: true,
    hopLimit: 255,
    addsArrivalTime: true,
    deliveryHeaders: { prefer: 'reply', 'kn-namespace': 'odoo-fleet' },
  },
  kafka: {
    refused: 'dead-letter',
    redirected: 'dead-letter',
    followsRedirects: false,
    // only knativeerrordest is set
    foreignBody: { verdict: 'dead-letter', namesDestination: true },
    noAnswerCode: undefined,
    late: { code: undefined, namesDestination: true },
    unnamedStatuses: [],
    givesErrorData: true,
    firstBackoffStep: 1,
    answersWhen: 'stored',
    isDurable: true,
    concurrency: 'parallelism',
    ordersByPartitionKey: true,
    rollout: 'keeps',
    emptyFilterMatchesAny: true,
    readsFilters: true,
    hopLimit: undefined,
    addsArrivalTime: false,
    deliveryHeaders: { prefer: 'reply' },
  },
};

/** What came back from one delivery. */
export type Answer =
  | { kind: 'none' }
  /** Nothing within the delivery's timeout. */
  | { kind: 'late' }
  /** `body`: what the answer holds, as far as the broker cares. */
  | { kind: 'status'; status: number; body: 'empty' | 'event' | 'foreign' };

// The retry list of Knative's reference implementation (kncloudevents.SelectiveRetry); 409 is "processing in progress".
const retried = new Set([404, 408, 409, 429]);
const succeeded = { verdict: 'done', namesDestination: false } as const;

/** What a broker of this manner does with an answer, before it counts the attempts, and what a dead letter then says. */
export function verdictOf(
  manner: Manner,
  answer: Answer,
): { verdict: Verdict; code: number | undefined; namesDestination: boolean } {
  if (answer.kind === 'none') return { verdict: 'retry', code: manner.noAnswerCode, namesDestination: true };
  if (answer.kind === 'late') return { verdict: 'retry', ...manner.late };
  const { status, body } = answer;
  if (status >= 200 && status < 300) {
    const { verdict, namesDestination } = body === 'foreign' ? manner.foreignBody : succeeded;
    return { verdict, code: undefined, namesDestination };
  }
  const isRetried = status >= 500 || retried.has(status);
  const isRedirect = status >= 300 && status < 400;
  const verdict = isRetried ? 'retry' : isRedirect ? manner.redirected : manner.refused;
  const isNamed = !manner.unnamedStatuses.includes(status);
  return { verdict, code: isNamed ? status : undefined, namesDestination: isNamed };
}

/** The wait before the retry that follows attempt `attempt` (from 0). */
export function backoffMs(
  manner: Manner,
  attempt: number,
  backoff: { policy: 'linear' | 'exponential'; delayMs: number },
): number {
  const step = attempt + manner.firstBackoffStep;
  return backoff.delayMs * (backoff.policy === 'exponential' ? 2 ** step : step);
}
