import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { pick, randomNumbers } from './random.ts';

/** The three sources of a storm: who sells, who operates, who bills. */
export const sources = { seller: 'urn:storm:seller', operator: 'urn:storm:operator', billing: 'urn:storm:billing' };

export type PlannedInstance = {
  id: string;
  name: string;
  customer: string;
  /** `standard` has no window for an undo here: its terminations can be purged at once, and never be undone. */
  plan: 'small' | 'standard';
  subscription: string;
};

/** What billing says of a subscription. */
export type BillingNews = 'paid' | 'overdue' | 'cancelled';

export type StormEvent = {
  /** When it is sent for the first time, from the start of the storm. */
  atMs: number;
  id: string;
  source: string;
  type: string;
  data: Record<string, unknown>;
  /** The instance it is about; of those that are made in the storm, too. */
  instance: string;
  /** Of billing's events: what it says. */
  news?: BillingNews;
};

/** What is done to the fleet, and when. */
export type Mishap = { atMs: number } & (
  | { what: 'kill-function'; functionName: string }
  | { what: 'restart-redis' | 'restart-bouncer' | 'roll-out-broker' }
  | { what: 'odoo-server-down'; server: number; forMs: number }
  | { what: 'records-down' | 'verification-server-down'; forMs: number }
);

export type StormPlan = {
  seed: number;
  seconds: number;
  /** There before the storm, running. */
  instances: readonly PlannedInstance[];
  /** Asked for during the storm, under names that are taken or were. */
  latecomers: readonly PlannedInstance[];
  /** How the instances of the beginning are asked for. */
  beginning: readonly StormEvent[];
  /** Asked for when they run: backups of some of them, for verifications to look at. */
  prepared: readonly StormEvent[];
  events: readonly StormEvent[];
  mishaps: readonly Mishap[];
};

export type StormSize = { seed: number; instances: number; commands: number; seconds: number };

/** Instances of one customer; below the default quota, so that no undo meets it. */
const perCustomer = 3;
/** Of eight instances one is backed up before the storm. */
const perBackedUp = 8;
/** Of five plans one is without a window for an undo. */
const perPlan = 5;
/** Longer than all tries of a Trigger with `stormDelivery`, and than a function takes to start. */
const recordsDownMs = 8_000;
const odooDownMs = 10_000;

/** The retry window of every Trigger in a storm: 0.4 s + 0.8 s of waits, so that an outage of seconds is longer. */
export const stormDelivery = { retry: 2, backoff: { policy: 'exponential', delayMs: 200 } } as const;

/** In the place of a backup's id, which nobody knows before it is made: that of the instance's backup from before the storm. */
const preparedBackup = 'prepared';

/** With the ids of `backups`, which were made of `prepared`, by instance. */
export function withBackups(plan: StormPlan, backups: ReadonlyMap<string, string>): StormPlan {
  const events = plan.events.map((event) =>
    event.data['backup'] === preparedBackup
      ? { ...event, data: { ...event.data, backup: backups.get(event.instance) } }
      : event,
  );
  return { ...plan, events };
}

type LifeVerb = 'start' | 'stop' | 'restart' | 'suspend' | 'resume' | 'terminate' | 'undo' | 'purge';
type Verb = LifeVerb | 'backup' | 'verify' | 'restore';
type Choice = Verb | 'billing' | 'provision' | 'stranger';

// A storm is mostly about instances that live: of what ends them there is little.
const choices: readonly (readonly [number, Choice])[] = [
  [17, 'start'],
  [13, 'stop'],
  [12, 'restart'],
  [9, 'suspend'],
  [12, 'resume'],
  [3, 'terminate'],
  [8, 'undo'],
  [2, 'purge'],
  [9, 'backup'],
  [7, 'verify'],
  [3, 'restore'],
  [26, 'billing'],
  [2, 'provision'],
  [2, 'stranger'],
];

const news: readonly (readonly [number, BillingNews])[] = [
  [14, 'paid'],
  [8, 'overdue'],
  [1, 'cancelled'],
];

/** Everything a storm sends and does, made of its seed alone. Pure. */
export function planStorm(size: StormSize): StormPlan {
  const random = randomNumbers(size.seed);
  const instances = Array.from({ length: size.instances }, (_, index) => planned(size.seed, index, `n${index}`));
  const latecomers: PlannedInstance[] = [];
  const turns: Turns = { billing: new Map(), suspensions: new Map() };
  const events = Array.from({ length: size.commands }, (_, number): Omit<StormEvent, 'atMs'> => {
    const id = `storm-${size.seed}-${number}`;
    const choice = pick(random, choices);
    const all = [...instances, ...latecomers];
    const about = all[Math.floor(random() * all.length)] as PlannedInstance;
    if (choice === 'verify' || choice === 'restore') {
      const backedUp = instances.filter(isBackedUp);
      const one = backedUp[Math.floor(random() * backedUp.length)] ?? about;
      return requestOf(choice, one, { id, isOrdered: false, isFinal: false, turns });
    }
    if (choice === 'provision') {
      const late = planned(size.seed, size.instances + latecomers.length, about.name, id);
      latecomers.push(late);
      return provisionOf(late, id);
    }
    if (choice === 'billing') return billingOf(about, { id, said: pick(random, news), turns });
    if (choice === 'stranger') return strangerOf({ id, seed: size.seed, number });
    const dice = random();
    return requestOf(choice, about, { id, isOrdered: dice < 0.5, isFinal: dice < 0.2, turns });
  });
  const durationMs = size.seconds * 1_000;
  return {
    seed: size.seed,
    seconds: size.seconds,
    instances,
    latecomers,
    beginning: instances.map((one) => ({ ...provisionOf(one, `storm-${size.seed}-begin-${one.name}`), atMs: 0 })),
    prepared: instances.filter(isBackedUp).map((one) => {
      const id = `storm-${size.seed}-backup-${one.name}`;
      return { ...requestOf('backup', one, { id, isOrdered: false, isFinal: false, turns }), atMs: 0 };
    }),
    events: events.map((event, number) => ({ ...event, atMs: Math.round((number / size.commands) * durationMs) })),
    mishaps: mishapsOf(random, durationMs),
  };
}

function isBackedUp(_: PlannedInstance, index: number): boolean {
  return index % perBackedUp === 0;
}

function planned(seed: number, index: number, name: string, eventId = `storm-${seed}-begin-${name}`): PlannedInstance {
  return {
    id: deriveInstanceId(sources.seller, eventId),
    name,
    customer: `customer-${Math.floor(index / perCustomer)}`,
    plan: index % perPlan === perPlan - 1 ? 'standard' : 'small',
    subscription: `s-${index}`,
  };
}

function provisionOf(one: PlannedInstance, id: string): Omit<StormEvent, 'atMs'> {
  const { name, customer, plan } = one;
  const data = { customer, name, plan, owner: { email: `owner@${name}.example` } };
  return { id, source: sources.seller, type: 'dev.odoofleet.instance.provision.requested', data, instance: one.id };
}

/** The next number of a stream, per instance or subscription. */
type Turns = { billing: Map<string, number>; suspensions: Map<string, number> };

function nextOf(numbers: Map<string, number>, key: string): number {
  const next = (numbers.get(key) ?? 0) + 1;
  numbers.set(key, next);
  return next;
}

function requestOf(
  verb: Verb,
  { id: instance }: PlannedInstance,
  { id, isOrdered, isFinal, turns }: { id: string; isOrdered: boolean; isFinal: boolean; turns: Turns },
): Omit<StormEvent, 'atMs'> {
  const data: Record<string, unknown> = { instance };
  // Billing's own suspensions come by its events only.
  if (verb === 'suspend' || verb === 'resume') {
    data['cause'] = 'abuse';
    if (isOrdered) data['sequence'] = nextOf(turns.suspensions, instance);
  }
  if (verb === 'restore') data['backup'] = preparedBackup;
  if (verb === 'purge') data['withoutbackup'] = true;
  // Of what is terminated only this kind is made, of all else only the other.
  if (verb === 'backup') data['kind'] = isFinal ? 'final' : 'manual';
  return { id, source: sources.operator, type: `dev.odoofleet.instance.${verb}.requested`, data, instance };
}

const billingTypes: Readonly<Record<BillingNews, string>> = {
  paid: 'dev.odoofleet.billing.invoice.paid',
  overdue: 'dev.odoofleet.billing.overdue.changed',
  cancelled: 'dev.odoofleet.billing.subscription.cancelled',
};
/** Past, so that nothing waits for time to pass: no grace period ends during a storm, and none is left. */
const past = '2020-01-01T00:00:00Z';

function billingOf(
  one: PlannedInstance,
  { id, said, turns }: { id: string; said: BillingNews; turns: Turns },
): Omit<StormEvent, 'atMs'> {
  const sequence = nextOf(turns.billing, one.subscription);
  const data = {
    subscription: one.subscription,
    customer: one.customer,
    sequence,
    plan: one.plan,
    phase: 'evergreen',
    paid: said !== 'overdue',
    overduesince: said === 'overdue' ? past : null,
    ends: said === 'cancelled' ? { at: past, by: 'cancellation' } : null,
    instance: one.id,
    ...(said === 'paid' ? { invoice: `i-${id}` } : {}),
  };
  return { id, source: sources.billing, type: billingTypes[said], data, instance: one.id, news: said };
}

/** A request about an instance that is not there. */
function strangerOf({ id, seed, number }: { id: string; seed: number; number: number }): Omit<StormEvent, 'atMs'> {
  const instance = deriveInstanceId('urn:storm:nobody', `${seed} ${number}`);
  const verb = number % 2 === 0 ? 'terminate' : 'start';
  const type = `dev.odoofleet.instance.${verb}.requested`;
  return { id, source: sources.operator, type, data: { instance }, instance };
}

const killable = [
  ...['start', 'stop', 'restart', 'suspend', 'resume', 'terminate', 'undo', 'purge', 'provision', 'repair'],
  ...['billing', 'reconcile', 'observe', 'dead-letter', 'backup', 'verify', 'restore', 'backup', 'verify', 'restore'],
];

/** A function dies every two seconds; each server has its trouble once, apart from each other where the time allows. */
function mishapsOf(random: () => number, durationMs: number): Mishap[] {
  const kills = Array.from({ length: Math.floor(durationMs / 2_000) }, (_, index): Mishap => {
    const functionName = killable[Math.floor(random() * killable.length)] ?? 'start';
    return { atMs: index * 2_000 + Math.floor(random() * 2_000), what: 'kill-function', functionName };
  });
  const at = (share: number) => Math.round(durationMs * share);
  return [
    ...kills,
    { atMs: at(0.1), what: 'restart-redis' } as const,
    { atMs: at(0.2), what: 'restart-bouncer' } as const,
    { atMs: at(0.3), what: 'odoo-server-down', server: random() < 0.5 ? 0 : 1, forMs: odooDownMs } as const,
    { atMs: at(0.4), what: 'verification-server-down', forMs: odooDownMs } as const,
    { atMs: at(0.55), what: 'records-down', forMs: recordsDownMs } as const,
    { atMs: at(0.8), what: 'roll-out-broker' } as const,
  ].toSorted((a, b) => a.atMs - b.atMs);
}
