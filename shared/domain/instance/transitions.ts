import type { InstanceStatus } from './instance.ts';

/** What may happen to an instance's status. */
export type InstanceEvent =
  | 'provision-started'
  | 'provision-finished'
  | 'provision-failed'
  | 'provision-retried'
  | 'provision-cancelled';

/** One row of the life of an instance. */
export type Transition = { from: InstanceStatus; event: InstanceEvent; to: InstanceStatus };

/**
 * The life of an instance: the only way a status changes. What is not in the table does not happen: the status stays
 * and nothing is announced.
 */
export const transitions: readonly Transition[] = [
  { from: 'creating', event: 'provision-started', to: 'starting' },
  { from: 'starting', event: 'provision-finished', to: 'running' },
  { from: 'creating', event: 'provision-failed', to: 'error' },
  { from: 'starting', event: 'provision-failed', to: 'error' },
  { from: 'error', event: 'provision-retried', to: 'starting' },
  { from: 'creating', event: 'provision-cancelled', to: 'terminated' },
  { from: 'starting', event: 'provision-cancelled', to: 'terminated' },
  { from: 'error', event: 'provision-cancelled', to: 'terminated' },
];

/** The status after `event`, or undefined when the table has no such row. */
export function statusAfter(from: InstanceStatus, event: InstanceEvent): InstanceStatus | undefined {
  return transitions.find((row) => row.from === from && row.event === event)?.to;
}
