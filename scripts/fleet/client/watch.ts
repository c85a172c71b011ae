import { setTimeout as delay } from 'node:timers/promises';
import { asFailure, mayRetry } from '#shared/domain/failure.ts';
import { progressLine } from '../follow.ts';
import type { Screen } from '../screen.ts';
import type { Api } from './api.ts';
import { parseEvents } from './server-sent-events.ts';

/** An operation as the API shows it. */
export type Operation = {
  id: string;
  instanceId: string;
  kind: string;
  state: string;
  step: string | null;
  progress: { phase?: string; done?: number; total?: number | null; unit?: string } | null;
  waitingFor: string | null;
  error: { code: string; text: string } | null;
  requestedBy: string;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  deadline: string;
};

/** `untilMs` by the clock of `performance.now`. */
type Watching = { screen: Screen; untilMs: number };

const everyMs = 1_000;
/** Where no events are to be had, asking for them each time would use up what may be asked in a minute. */
const roundsWithoutEvents = 15;
/** How long somebody may be away who was there before. */
const patienceMs = 60_000;

/** Has it ended? A failed one may still be retried. */
export function hasEnded({ state }: Pick<Operation, 'state'>): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}

/**
 * Waits for the end of an operation: by server-sent events while they are to be had, else by asking again and again.
 * Returns it as it was seen last, ended unless the time was over.
 * @throws Failure when it cannot be seen, at first or for a minute.
 */
export async function watch(api: Api, id: string, { screen, untilMs }: Watching): Promise<Operation> {
  const path = `/v1/operations/${encodeURIComponent(id)}`;
  let latest = (await api.get(path)) as Operation;
  const see = (operation: Operation) => {
    latest = operation;
    show();
  };
  const show = () => {
    if (!hasEnded(latest)) screen.progress?.(lineOf(latest));
  };
  see(latest);
  // the time goes on where nothing else does
  const ticking = setInterval(show, everyMs);
  try {
    await untilEnd();
  } finally {
    clearInterval(ticking);
    screen.progress?.(undefined);
  }
  return latest;

  async function untilEnd(): Promise<void> {
    let lastEventId: string | undefined;
    let awaySinceMs: number | undefined;
    let deafRounds = 0;
    while (!hasEnded(latest) && performance.now() < untilMs) {
      if (deafRounds === 0) {
        const heardId = await listen(api, `${path}/events`, { untilMs, lastEventId, see });
        if (heardId === undefined) deafRounds = roundsWithoutEvents;
        else lastEventId = heardId;
      } else deafRounds -= 1;
      if (hasEnded(latest) || performance.now() >= untilMs) return;
      await delay(Math.min(everyMs, Math.max(0, untilMs - performance.now())));
      try {
        see((await api.get(path)) as Operation);
        awaySinceMs = undefined;
      } catch (caught) {
        const failure = asFailure(caught);
        awaySinceMs ??= performance.now();
        if (!mayRetry(failure) || performance.now() - awaySinceMs > patienceMs) throw failure;
      }
    }
  }
}

/** Listens for as long as there is something to hear. Returns the id of the last event; undefined when none came. */
async function listen(
  api: Api,
  path: string,
  options: { untilMs: number; lastEventId: string | undefined; see: (operation: Operation) => void },
): Promise<string | undefined> {
  let heardId: string | undefined;
  const leftMs = Math.min(options.untilMs - performance.now(), 2 ** 31 - 1);
  const timeIsUp = AbortSignal.timeout(Math.max(1, Math.ceil(leftMs)));
  try {
    const stream = await api.stream(path, options.lastEventId, timeIsUp);
    if (stream === undefined) return undefined;
    for await (const { id, data } of parseEvents(stream)) {
      heardId = id;
      options.see(JSON.parse(data) as Operation);
    }
  } catch {
    // whoever watches asks without events then, and learns from that what is wrong
  }
  return heardId;
}

function lineOf({ kind, state, step, waitingFor, progress, createdAt }: Operation): string {
  const seconds = Math.max(0, (Date.now() - Date.parse(createdAt)) / 1_000);
  return progressLine({ kind, state, step, waiting_for: waitingFor, progress, seconds });
}
