import { eventIdOf } from '../operation/identifiers.ts';
import type { DriftKind } from './policy.ts';

type Asked = 'repair' | 'purge';

/** A repair is wanted soon. A purge that is refused waits for a person, such as for a backup. */
const waits = {
  repair: { firstMs: 60_000, longestMs: 3_600_000 },
  purge: { firstMs: 3_600_000, longestMs: 86_400_000 },
} as const satisfies Record<Asked, { firstMs: number; longestMs: number }>;

/** How long a request is given before the next one, after so many: each twice as long as the one before, up to a limit. */
export function waitAfter(requests: number, what: Asked = 'repair'): number {
  const { firstMs, longestMs } = waits[what];
  return Math.min(longestMs, firstMs * 2 ** Math.min(Math.max(requests - 1, 0), 10));
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
export function requestsOf(findings: readonly Askable[], options: { what: Asked; atMost: number }): Request[] {
  const byInstance = Map.groupBy(findings, ({ instanceId }) => instanceId);
  return [...byInstance]
    .filter(([, group]) => group.some(({ isDue }) => isDue))
    .slice(0, options.atMost)
    .map(([instanceId, group]) => {
      const kinds = [...new Set(group.map(({ kind }) => kind))].sort();
      const repairs = Math.max(...group.map((finding) => finding.repairs)) + 1;
      const since = Math.min(...group.map(({ firstSeen }) => firstSeen.getTime()));
      const eventId = eventIdOf(instanceId, [options.what, ...kinds, repairs, since].join(' '));
      return {
        instanceId,
        kinds: kinds.slice(0, kindsPerRequest),
        eventId,
        repairs,
        waitMs: waitAfter(repairs, options.what),
      };
    });
}
