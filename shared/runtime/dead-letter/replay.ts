import { type ResendMessage, type ResendResult, resendMessage } from '#shared/adapters/eventing/resend.ts';
import type { ClaimedEvent, ReplayOutcome } from '#shared/adapters/postgres/dead-event-replays.ts';
import { classify } from './classify.ts';
import { type FunctionPlaces, originAddress } from './origin.ts';
import { maxReplays } from './waits.ts';

export type ReplayParts = FunctionPlaces & {
  brokerUrl: string;
  resend(url: string, message: ResendMessage): Promise<ResendResult>;
};

/** `either`: straight to its function where that is one of ours, else to the broker. */
export type ReplayTarget = 'broker' | 'origin' | 'either';

/** Where a dead event would be sent; undefined: only its function was wanted, and that is none of ours. */
export function replayAddress(
  event: { receivedBy: string; origin: string | null },
  { target, ...parts }: FunctionPlaces & { brokerUrl: string; target: ReplayTarget },
): { url: string; to: 'broker' | 'origin' } | undefined {
  const origin = target === 'broker' ? undefined : originAddress(event, parts);
  if (origin !== undefined) return { url: origin, to: 'origin' };
  return target === 'origin' ? undefined : { url: parts.brokerUrl, to: 'broker' };
}

/**
 * Sends a dead event again and says what that came to. A function that answers 2xx has done it, had done it before (its
 * inbox knows the event's source and id), or has kept it as refused. A broker's 2xx only says that it has it again.
 */
export async function replayOne(
  event: ClaimedEvent,
  { parts, target, isAutomatic }: { parts: ReplayParts; target: ReplayTarget; isAutomatic: boolean },
): Promise<ReplayOutcome> {
  const address = replayAddress(event, { ...parts, target });
  if (address === undefined) {
    const reason = 'its origin is none of our functions; replay it to the broker';
    return { state: 'failed', reason, isPermanent: false, isLast: false };
  }
  const { url, to } = address;
  const result = await parts.resend(url, resendMessage(event));
  if ('status' in result && result.status >= 200 && result.status < 300) {
    return { state: to === 'origin' ? 'resolved' : 'replayed' };
  }
  return {
    state: 'failed',
    reason: 'status' in result ? `${to} answered with status ${result.status}` : `${to}: ${result.reason}`,
    isPermanent: 'status' in result && classify({ origin: url, errorCode: result.status }) === 'permanent',
    isLast: isAutomatic && event.replays >= maxReplays,
  };
}
