/** What a new instance is made of; as the event said it. */
export type InstanceConfiguration = { readonly name: string; readonly owner: { readonly email: string } };

/** The state of a subscription that one event told. */
export type SubscriptionFacts = {
  planId: string;
  phase: 'trial' | 'evergreen';
  paid: boolean;
  overdueSince: Date | null;
  ends: { at: Date; by: 'cancellation' | 'expiry' } | null;
  /** The billing service holds it for a while. */
  paused: boolean;
};

/** A subscription as we hold it. */
export type Subscription = SubscriptionFacts & {
  source: string;
  id: string;
  customerId: string;
  /** Null until it is known which instance it pays for, or is to be made for it. */
  instanceId: string | null;
  sequence: number;
  /** Id of the event that told the state. */
  cause: string;
  configuration: InstanceConfiguration | null;
  configurationSequence: number | null;
  /** What came of its trial; null when it never had one. */
  trial: 'granted' | 'refused' | null;
};

/** What an event says of a subscription. */
export type SubscriptionNews = SubscriptionFacts & {
  sequence: number;
  cause: string;
  instanceId: string | undefined;
  configuration: InstanceConfiguration | undefined;
};

export type Applied =
  | { outcome: 'applied' | 'completed' | 'superseded'; subscription: Subscription }
  | { outcome: 'other-instance' };

/**
 * The subscription after an event. The state is that of the highest sequence; a late event changes nothing of it. What
 * only some events tell, the instance and its configuration, is taken from a late one too where nothing newer told it
 * (`completed`): a configuration must not be lost because a payment overtook it. Pure, and for any order and repetition
 * of the same events the result is the same.
 */
export function applyNews(known: Subscription, news: SubscriptionNews, derivedInstanceId: string): Applied {
  const isNewer = news.sequence > known.sequence;
  const tellsConfiguration = news.configuration !== undefined && news.sequence > (known.configurationSequence ?? -1);
  const named =
    news.instanceId ?? (news.configuration === undefined ? undefined : (known.instanceId ?? derivedInstanceId));
  if (known.instanceId !== null && named !== undefined && named !== known.instanceId)
    return { outcome: 'other-instance' };
  const tellsInstance = known.instanceId === null && named !== undefined;
  const subscription: Subscription = {
    ...known,
    ...(isNewer ? factsOf(news) : {}),
    instanceId: known.instanceId ?? named ?? null,
    ...(tellsConfiguration ? { configuration: news.configuration ?? null, configurationSequence: news.sequence } : {}),
  };
  if (isNewer) return { outcome: 'applied', subscription };
  return { outcome: tellsConfiguration || tellsInstance ? 'completed' : 'superseded', subscription };
}

/** A subscription of which only its name is known; every event is newer. */
export function unheardOf(name: { source: string; id: string; customerId: string }): Subscription {
  return {
    ...name,
    instanceId: null,
    planId: '',
    phase: 'trial',
    paid: false,
    overdueSince: null,
    ends: null,
    paused: false,
    sequence: -1,
    cause: '',
    configuration: null,
    configurationSequence: null,
    trial: null,
  };
}

function factsOf({ planId, phase, paid, overdueSince, ends, paused, sequence, cause }: SubscriptionNews) {
  return { planId, phase, paid, overdueSince, ends, paused, sequence, cause };
}
