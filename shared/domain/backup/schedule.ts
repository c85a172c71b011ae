import { createHash } from 'node:crypto';
import type { ProofState } from './backup.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A failed try is repeated after this, then after twice as long each time, up to the limit. */
const firstRetryMs = 15 * 60_000;
const longestRetryMs = 6 * hourMs;

/** How long after the last of so many failures the next try comes. */
export function retryAfter(failures: number): number {
  return Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(Math.max(failures - 1, 0), 10));
}

/** When within its interval an instance has its turn: by its id, so that a fleet's turns are spread evenly. */
function offsetOf(instanceId: string, task: string, intervalMs: number): number {
  const digest = createHash('sha256').update(`${task} ${instanceId}`, 'utf8').digest();
  return Number(digest.readBigUInt64BE(0) % BigInt(intervalMs));
}

/**
 * The start of an instance's current turn. Turns are as long as the interval, counted since 1970 in UTC: a change of
 * clocks moves none. After an outage only the current turn is due, not those that were missed.
 */
export function turnAt(instanceId: string, task: 'backup' | 'verify', time: { intervalMs: number; now: Date }): Date {
  const { intervalMs, now } = time;
  const offset = offsetOf(instanceId, task, intervalMs);
  return new Date(Math.floor((now.getTime() - offset) / intervalMs) * intervalMs + offset);
}

/** What decides whether an instance is to be backed up or a backup of it to be looked at. */
export type ScheduleFacts = {
  instanceId: string;
  createdAt: Date;
  /** Null while the instance is wanted. */
  terminatedAt: Date | null;
  /** 0: only those that are asked for. */
  backupHours: number;
  /** 0: only the final one. */
  verifyDays: number;
  /** The newest that succeeded. */
  newest: { id: string; kind: string; startedAt: Date; proof: ProofState } | null;
  /** The last time that one of its backups was proven or refuted. */
  lastLook: { state: ProofState; at: Date } | null;
  /**
   * Backups since the newest one, and verifications since the last look, that failed; of a terminated instance only those
   * since its termination. What another operation has overtaken has not failed.
   */
  backupFailures: Failures;
  verifyFailures: Failures;
};

export type Failures = { count: number; lastAt: Date | null };

/** Something that is due. `subject` is what it is for: the same for the same turn. */
export type Due =
  | { task: 'backup'; kind: 'scheduled' | 'final'; subject: string }
  | { task: 'verify'; backupId: string; subject: string };

function isHeldBack({ count, lastAt }: Failures, now: Date): boolean {
  return count > 0 && lastAt !== null && now.getTime() < lastAt.getTime() + retryAfter(count);
}

/**
 * Is a backup due? One that was refuted counts for nothing. An instance that is new has its first turn when the next one
 * begins. Of one that was terminated a single one is due: the final one, begun after the termination.
 */
export function dueBackup(facts: ScheduleFacts, now: Date): Due | undefined {
  if (isHeldBack(facts.backupFailures, now)) return undefined;
  const { newest, terminatedAt, instanceId } = facts;
  const last = newest === null || newest.proof === 'refuted' ? undefined : newest;
  const refuted = newest?.proof === 'refuted' ? ` instead of ${newest.id}` : '';
  if (terminatedAt !== null) {
    const isThere = last?.kind === 'final' && last.startedAt >= terminatedAt;
    return isThere
      ? undefined
      : { task: 'backup', kind: 'final', subject: `final since ${terminatedAt.toISOString()}${refuted}` };
  }
  if (facts.backupHours === 0) return undefined;
  const turn = turnAt(instanceId, 'backup', { intervalMs: facts.backupHours * hourMs, now });
  const isOver = newest === null ? facts.createdAt >= turn : last !== undefined && last.startedAt >= turn;
  return isOver ? undefined : { task: 'backup', kind: 'scheduled', subject: `turn of ${turn.toISOString()}${refuted}` };
}

/**
 * Is a backup due to be looked at? The final one always; else the newest, once in every turn, so that each instance is
 * reached within `verifyDays`; at once where none was ever proven or the last one looked at was refuted.
 */
export function dueVerification(facts: ScheduleFacts, now: Date): Due | undefined {
  const { newest, lastLook, terminatedAt } = facts;
  if (newest === null || newest.proof === 'refuted' || isHeldBack(facts.verifyFailures, now)) return undefined;
  const verify = (subject: string): Due => ({ task: 'verify', backupId: newest.id, subject });
  const isFresh = newest.proof === 'none';
  if (terminatedAt !== null) {
    const isFinal = newest.kind === 'final' && newest.startedAt >= terminatedAt;
    return isFinal && isFresh ? verify(newest.id) : undefined;
  }
  if (facts.verifyDays === 0) return undefined;
  if (isFresh && (lastLook === null || lastLook.state === 'refuted')) return verify(newest.id);
  const turn = turnAt(facts.instanceId, 'verify', { intervalMs: facts.verifyDays * dayMs, now });
  return lastLook === null || lastLook.at < turn ? verify(`turn of ${turn.toISOString()}`) : undefined;
}

/** How often something was asked for, and when it may be asked for again. */
export type Asked = { subject: string; requests: number; nextAt: Date };

/** Asks in vain are repeated after 10 minutes, then after twice as long each time, up to 6 hours. */
const firstAskMs = 10 * 60_000;

/** The request to be made now, by its number among those for the same subject; undefined while the last one may still be on its way. */
export function nextRequest(
  due: Due,
  asked: Asked | undefined,
  now: Date,
): { requests: number; waitMs: number } | undefined {
  const isSame = asked?.subject === due.subject;
  if (isSame && now < asked.nextAt) return undefined;
  const requests = isSame ? asked.requests + 1 : 1;
  return { requests, waitMs: Math.min(longestRetryMs, firstAskMs * 2 ** Math.min(requests - 1, 10)) };
}

/**
 * Picks at most `atMost`, in turns by server, and from each server no more than it has room for: one server with many
 * due instances keeps no other waiting.
 */
export function pickFairly<One extends { serverId: string }>(
  candidates: readonly One[],
  options: { atMost: number; room: ReadonlyMap<string, number> },
): One[] {
  const queues = [...Map.groupBy(candidates, ({ serverId }) => serverId)].map(([serverId, all]) =>
    all.slice(0, Math.max(0, options.room.get(serverId) ?? 0)),
  );
  const picked: One[] = [];
  for (let round = 0; picked.length < options.atMost && queues.some((queue) => queue.length > round); round += 1) {
    picked.push(...queues.flatMap((queue) => queue.slice(round, round + 1)));
  }
  return picked.slice(0, options.atMost);
}
