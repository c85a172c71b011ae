import { appendAudit } from '#shared/adapters/postgres/audit.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { claimEvents, type ReplayOutcome, settleReplay } from '#shared/adapters/postgres/dead-event-replays.ts';
import {
  type DeadEventSummary,
  findDeadEvents,
  readDeadEvent,
  resolveByHand,
} from '#shared/adapters/postgres/dead-event-search.ts';
import { type ReplayParts, replayAddress, replayOne } from '#shared/runtime/dead-letter/replay.ts';
import type { DeadLetterOptions } from './options.ts';
import { eventDocument, eventText, listOf, printable } from './screen.ts';

export type Screen = { print(line: string): void; printError(line: string): void };

export type RunParts = { database: Database; replay: ReplayParts; screen: Screen };

/** One event's fate under `replay` and `resolve`. */
type Fate = { number: number; id: string | null; type: string | null; fate: string; detail?: string };

/** Does what was asked. Returns the exit code: 0 done, 1 something failed or was left out. */
export async function run(options: DeadLetterOptions, parts: RunParts): Promise<0 | 1> {
  switch (options.command) {
    case 'list':
      return await list(options, parts);
    case 'show':
      return await show(options, parts);
    case 'replay':
      return await replay(options, parts);
    case 'resolve':
      return await resolve(options, parts);
  }
}

async function list(options: DeadLetterOptions, { database, screen }: RunParts): Promise<0> {
  const { events, isMore } = await findDeadEvents(database, options);
  if (options.json) screen.print(JSON.stringify({ events, isMore }));
  else screen.print(listOf(events));
  sayMore(isMore, options, screen);
  return 0;
}

async function show({ filter, json }: DeadLetterOptions, { database, screen }: RunParts): Promise<0 | 1> {
  const [sequence = 0] = filter.sequences ?? [];
  const event = await readDeadEvent(database, sequence);
  if (event === undefined) {
    screen.printError(`There is no dead event with the number ${sequence}.`);
    return 1;
  }
  screen.print(json ? JSON.stringify(eventDocument(event)) : eventText(event));
  return 0;
}

async function replay(options: DeadLetterOptions, parts: RunParts): Promise<0 | 1> {
  const { database, screen } = parts;
  const { events, isMore } = await findDeadEvents(database, options);
  const fates: Fate[] = [];
  let isComplete = true;
  for (const event of events) {
    const planned = planOf(event, options, parts.replay);
    if (!planned.isPossible) isComplete = false;
    fates.push(planned.isPossible && options.yes ? await replayNow(event, options, parts) : planned.fate);
  }
  if (fates.some(({ fate }) => fate === 'failed')) isComplete = false;
  report(fates, options, screen);
  sayMore(isMore, options, screen);
  return isComplete ? 0 : 1;
}

function planOf(
  event: DeadEventSummary,
  { target, force }: DeadLetterOptions,
  parts: ReplayParts,
): { isPossible: boolean; fate: Fate } {
  const about = aboutOf(event);
  const leftOut = (detail: string) => ({ isPossible: false, fate: { ...about, fate: 'left out', detail } });
  if (!event.is_whole) return leftOut('only the beginning of it was kept');
  if (event.is_forgotten && !force) {
    return leftOut('it is older than what functions remember and could be done twice; --force sends it');
  }
  const address = replayAddress({ receivedBy: event.received_by, origin: event.origin }, { ...parts, target });
  if (address === undefined) return leftOut('its origin is none of our functions; use --to broker');
  return { isPossible: true, fate: { ...about, fate: 'would be sent', detail: `to ${address.to} ${address.url}` } };
}

async function replayNow(event: DeadEventSummary, options: DeadLetterOptions, parts: RunParts): Promise<Fate> {
  const { database } = parts;
  const about = aboutOf(event);
  const [claimed] = await claimEvents(database, [event.sequence]);
  if (claimed === undefined) return { ...about, fate: 'failed', detail: 'it is not there any more' };
  const outcome = await replayOne(claimed, { parts: parts.replay, target: options.target, isAutomatic: false });
  await database.transaction(async (transaction) => {
    await settleReplay(transaction, claimed, outcome);
    await appendAudit(transaction, {
      actor: `person ${options.by}`,
      action: 'dead-event.replayed',
      detail: { number: event.sequence, id: event.id, type: event.type, to: options.target, outcome: outcome.state },
    });
  });
  return { ...about, ...fateOf(outcome) };
}

function fateOf(outcome: ReplayOutcome): { fate: string; detail?: string } {
  switch (outcome.state) {
    case 'resolved':
      return { fate: 'sent', detail: 'its function has taken it' };
    case 'replayed':
      return { fate: 'sent', detail: 'the broker has it again' };
    case 'failed':
      return { fate: 'failed', detail: outcome.reason };
  }
}

async function resolve(options: DeadLetterOptions, { database, screen }: RunParts): Promise<0> {
  const { events, isMore } = await findDeadEvents(database, options);
  const open = events.filter(({ state }) => state !== 'resolved');
  if (options.yes) {
    await database.transaction(async (transaction) => {
      const numbers = await resolveByHand(
        transaction,
        open.map(({ sequence }) => sequence),
      );
      const actor = `person ${options.by}`;
      if (numbers.length > 0)
        await appendAudit(transaction, { actor, action: 'dead-event.resolved', detail: { numbers } });
    });
  }
  const fate = options.yes ? 'resolved' : 'would be resolved';
  report(
    open.map((event) => ({ ...aboutOf(event), fate })),
    options,
    screen,
  );
  sayMore(isMore, options, screen);
  return 0;
}

const aboutOf = ({ sequence, id, type }: DeadEventSummary) => ({ number: sequence, id, type });

function report(fates: readonly Fate[], options: DeadLetterOptions, { print, printError }: Screen): void {
  if (options.json) {
    print(JSON.stringify({ done: options.yes, events: fates }));
    return;
  }
  if (fates.length === 0) print('There are none.');
  for (const { number, id, type, fate, detail } of fates) {
    const about = `${number}  ${printable(type ?? '-')}  ${printable(id ?? '-')}`;
    print(`${about}  ${fate}${detail === undefined ? '' : `: ${printable(detail)}`}`);
  }
  if (!options.yes && fates.length > 0) printError('Nothing was done. Add --yes to do it.');
}

function sayMore(isMore: boolean, { limit }: DeadLetterOptions, { printError }: Screen): void {
  if (isMore) printError(`There are more than ${limit}; --limit shows or takes more.`);
}
