import { eventIdOf } from '../operation/identifiers.ts';
import type { DriftKind } from './policy.ts';

const firstWaitMs = 60_000;
const longestWaitMs = 3_600_000;

/** How long a request is given before the next one, after so many: 1, 2, 4 … minutes, an hour at most. */
export function waitAfter(requests: number): number {
  return Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(Math.max(requests - 1, 0), 10));
}

/** An open finding that an operation is asked for. */
export type Askable = {
  instanceId: string;
  kind: DriftKind;
  /** Requests so far. */
  repairs: number;
  firstSeen: Date;
  /** The wait after the last request is over. */
  isDue: boolean;
};

/** One request for an instance, for everything that is amiss about it. */
export type Request = { instanceId: string; kinds: DriftKind[]; eventId: string; repairs: number; waitMs: number };

/** As many as one event may name. */
const kindsPerRequest = 20;

/**
 * What is asked for now: an instance with something that is due is asked for once, with all that is open. The event's
 * id follows from what it asks for, so that asking twice is asking once; the time of the first sight keeps it apart from
 * the same trouble at another time.
 */
export function requestsOf(
  findings: readonly Askable[],
  options: { what: 'repair' | 'purge'; atMost: number },
): Request[] {
  const byInstance = Map.groupBy(findings, ({ instanceId }) => instanceId);
  return [...byInstance]
    .filter(([, group]) => group.some(({ isDue }) => isDue))
    .slice(0, options.atMost)
    .map(([instanceId, group]) => {
      const kinds = [...new Set(group.map(({ kind }) => kind))].sort();
      const repairs = Math.max(...group.map((finding) => finding.repairs)) + 1;
      const since = Math.min(...group.map(({ firstSeen }) => firstSeen.getTime()));
      const eventId = eventIdOf(instanceId, [options.what, ...kinds, repairs, since].join(' '));
      return { instanceId, kinds: kinds.slice(0, kindsPerRequest), eventId, repairs, waitMs: waitAfter(repairs) };
    });
}
