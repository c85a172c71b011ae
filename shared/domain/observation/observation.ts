import type { InstanceStatus } from '#shared/domain/instance/instance.ts';
import { type InstanceEvent, type InstanceFacts, statusAfter } from '#shared/domain/instance/transitions.ts';

/** What the cluster says about the runtime of an instance. `reason` is in the cluster's words, one line. */
export type Seen = { what: 'available' } | { what: 'unavailable' | 'gone'; reason: string };

/** Bad news that waits to be believed. */
export type Note = {
  what: 'unavailable' | 'gone';
  reason: string;
  /** Since when, by the database's clock: of the first bad news without good news after it. */
  at: Date;
};

/** What of an instance's row decides what an observation makes of it. */
export type Observed = InstanceFacts & {
  status: InstanceStatus;
  /** An operation is queued, running or waiting: it says what the status is. */
  isAtWork: boolean;
  note: Note | null;
};

export type ObservedChange = { from: InstanceStatus; to: InstanceStatus; reason: string };

export type Decision = { after: Observed; change: ObservedChange | undefined };

/** Bad news must stand this long: a pod that is replaced, or a missed probe, is no failure of the instance. */
export const believedAfterMs = 2_000;

const backAgain = 'The cluster reports it available again.';

/**
 * What an observation makes of an instance: good news counts at once and clears what was noted, bad news is noted first
 * and becomes the status when it has stood for two seconds. `seen` undefined: nothing new, only time has passed. `now` is
 * the database's. Statuses change by the transition table alone, so nothing seen ever makes an instance stopped, and one
 * that is suspended, in maintenance or terminated stays so. Pure.
 */
export function decideObservation(instance: Observed, seen: Seen | undefined, now: Date): Decision {
  const quiet: Decision = { after: { ...instance, note: null }, change: undefined };
  if (instance.isAtWork) return quiet;
  if (seen?.what === 'available') return move(instance, 'observed-available', backAgain) ?? quiet;
  const note = seen === undefined ? instance.note : { ...seen, at: instance.note?.at ?? now };
  if (note === null) return { after: instance, change: undefined };
  const believed = move(instance, `observed-${note.what}`, note.reason);
  if (believed === undefined) return quiet;
  const hasStood = now.getTime() - note.at.getTime() >= believedAfterMs;
  return hasStood ? believed : { after: { ...instance, note }, change: undefined };
}

function move(instance: Observed, event: InstanceEvent, reason: string): Decision | undefined {
  const to = statusAfter(instance.status, event, instance);
  if (to === undefined) return undefined;
  return { after: { ...instance, status: to, note: null }, change: { from: instance.status, to, reason } };
}
