import { type Instance, type InstanceStatus, isMade, isWantedRunning } from './instance.ts';

/** What may happen to an instance's status. Operations begin, finish and fail; the cluster is observed. */
export type InstanceEvent =
  | 'provision-started'
  | 'provision-finished'
  | 'provision-failed'
  | 'provision-retried'
  | 'provision-cancelled'
  | `${'start' | 'stop' | 'restart' | 'suspend' | 'resume' | 'terminate' | 'undo' | 'restore'}-${'began' | 'finished' | 'failed'}`
  | 'repair-finished'
  | 'purge-finished'
  | 'observed-available'
  | 'observed-unavailable'
  | 'observed-gone';

/** What of an instance's row decides about a transition. */
export type InstanceFacts = Pick<Instance, 'desiredState' | 'suspensions' | 'generation' | 'observedGeneration'>;

/**
 * Conditions on the row, by name. `settled`: the last thing that was wanted has been brought about, so what the cluster
 * shows now is news and not an operation's unfinished work.
 */
export const guards = {
  'wanted running': (facts: InstanceFacts) => isWantedRunning(facts),
  'wanted stopped': (facts: InstanceFacts) => facts.desiredState === 'stopped' && facts.suspensions.length === 0,
  'made, wanted running': (facts: InstanceFacts) => isMade(facts) && isWantedRunning(facts),
  'made, wanted stopped': (facts: InstanceFacts) =>
    isMade(facts) && facts.desiredState === 'stopped' && facts.suspensions.length === 0,
  // One that was never made has nothing to be suspended: it comes up suspended when its provisioning ends.
  'suspension open': (facts: InstanceFacts) => facts.desiredState !== 'terminated' && facts.suspensions.length > 0,
  'made, suspension open': (facts: InstanceFacts) =>
    isMade(facts) && facts.desiredState !== 'terminated' && facts.suspensions.length > 0,
  'wanted terminated': (facts: InstanceFacts) => facts.desiredState === 'terminated',
  'made, wanted back': (facts: InstanceFacts) => isMade(facts) && facts.desiredState !== 'terminated',
  settled: (facts: InstanceFacts) => facts.generation === facts.observedGeneration,
  'settled, wanted running': (facts: InstanceFacts) =>
    facts.generation === facts.observedGeneration && isWantedRunning(facts),
} as const;
export type Guard = keyof typeof guards;

/** One row of the life of an instance. */
export type Transition = { from: InstanceStatus; event: InstanceEvent; guard: Guard | undefined; to: InstanceStatus };

function rows(
  from: readonly InstanceStatus[],
  event: InstanceEvent,
  to: InstanceStatus,
  guard?: Guard,
): readonly Transition[] {
  return from.filter((status) => status !== to).map((status) => ({ from: status, event, guard, to }));
}

/** Where an instance rests, by what is wanted of it. */
function rest(from: readonly InstanceStatus[], event: InstanceEvent): readonly Transition[] {
  return [
    ...rows(from, event, 'running', 'wanted running'),
    ...rows(from, event, 'stopped', 'wanted stopped'),
    ...rows(from, event, 'suspended', 'suspension open'),
  ];
}

const made = ['running', 'stopped', 'suspended', 'missing', 'error'] as const;
const moving = ['starting', 'stopping', 'restarting', 'updating', 'maintenance'] as const;
const there = [...made, ...moving] as const;

/**
 * The life of an instance: the only way a status changes. What is not in the table, or whose guard does not hold, does
 * not happen: the status stays and nothing is announced.
 */
export const transitions: readonly Transition[] = [
  ...rows(['creating'], 'provision-started', 'starting'),
  ...rest(['starting'], 'provision-finished'),
  ...rows(['creating', 'starting'], 'provision-failed', 'error'),
  ...rows(['error'], 'provision-retried', 'starting'),
  ...rows(['creating', 'starting', 'error'], 'provision-cancelled', 'terminated'),

  ...rows(['stopped', 'missing', 'error', ...moving], 'start-began', 'starting', 'made, wanted running'),
  // What the row wants is there now, whoever did his part before, and even where the beginning was lost with a server.
  ...rest(there, 'start-finished'),
  ...rows(['starting'], 'start-failed', 'error'),

  ...rows(['running', 'missing', 'error', ...moving], 'restart-began', 'restarting', 'made, wanted running'),
  ...rest(there, 'restart-finished'),
  ...rows(['restarting'], 'restart-failed', 'error'),

  ...rows(['running', 'missing', 'error', ...moving], 'stop-began', 'stopping', 'made, wanted stopped'),
  ...rest(there, 'stop-finished'),
  ...rows(['stopping'], 'stop-failed', 'error'),

  ...rows(
    [...made.filter((status) => status !== 'suspended'), ...moving],
    'suspend-began',
    'stopping',
    'made, suspension open',
  ),
  ...rest(there, 'suspend-finished'),
  ...rows(['stopping'], 'suspend-failed', 'error'),

  // Wherever it stands: the suspension may have overtaken a start and then never had its turn.
  ...rows(['suspended', 'stopped', 'error', 'missing', ...moving], 'resume-began', 'starting', 'made, wanted running'),
  ...rows(['suspended', 'running', 'error', 'missing', ...moving], 'resume-began', 'stopping', 'made, wanted stopped'),
  ...rest(there, 'resume-finished'),
  ...rows(['starting', 'stopping'], 'resume-failed', 'error'),

  ...rows(['creating', ...there], 'terminate-began', 'terminating', 'wanted terminated'),
  ...rows(['terminating', ...there], 'terminate-finished', 'terminated', 'wanted terminated'),
  ...rows(['terminating'], 'terminate-failed', 'error'),

  // Also where the termination never had its turn: it may have overtaken what was to be done before it.
  ...rows(['terminated', 'terminating', ...there], 'undo-began', 'maintenance', 'made, wanted back'),
  ...rest(there, 'undo-finished'),
  ...rows(['maintenance'], 'undo-failed', 'error'),

  // What it shows while its database is exchanged; until then it runs on.
  ...rows([...made, ...moving], 'restore-began', 'maintenance', 'made, wanted back'),
  ...rest(there, 'restore-finished'),
  ...rows(['maintenance'], 'restore-failed', 'error'),

  // A termination that failed is carried out by either of these, too.
  ...rows(['terminating', 'error'], 'purge-finished', 'terminated', 'wanted terminated'),
  ...rest(there, 'repair-finished'),
  ...rows(['terminating', 'error'], 'repair-finished', 'terminated', 'wanted terminated'),

  ...rows(['running'], 'observed-unavailable', 'error', 'settled'),
  ...rows(['running', 'error'], 'observed-gone', 'missing', 'settled'),
  ...rows(['missing', 'error'], 'observed-available', 'running', 'settled, wanted running'),
];

/** The status after `event`, or undefined when the table has no such row for an instance of these facts. */
export function statusAfter(
  from: InstanceStatus,
  event: InstanceEvent,
  facts: InstanceFacts,
): InstanceStatus | undefined {
  return transitions.find(
    (row) => row.from === from && row.event === event && (row.guard === undefined || guards[row.guard](facts)),
  )?.to;
}
