import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import type { DeadEventFilter } from '#shared/adapters/postgres/dead-event-search.ts';
import type { ReplayTarget } from '#shared/runtime/dead-letter/replay.ts';

const commands = ['list', 'show', 'replay', 'resolve'] as const;
const states = ['waiting', 'replayed', 'resolved', 'given-up'] as const;

/** What the program was asked for. */
export type DeadLetterOptions = {
  command: (typeof commands)[number];
  filter: DeadEventFilter;
  limit: number;
  target: ReplayTarget;
  /** Also what is older than the inbox knows. */
  force: boolean;
  /** Do it, instead of saying what would be done. */
  yes: boolean;
  json: boolean;
  /** The person, for the audit. */
  by: string;
};

export const usage = `Usage: node scripts/dead-letters/main.ts COMMAND [options]

Events that nobody could handle: those that functions refused, and those that a broker could not deliver.

  list               the open ones, oldest first
  show NUMBER        one of them, with its attributes and its body
  replay             sends them again; without --yes it only says what it would do
  resolve            notes that a person has dealt with them; without --yes it only says what it would do

Which (replay and resolve need one of them):
  --number N         number in the list; may be given several times
  --id ID            the event's id; may be given several times
  --type TYPE        the event's type
  --since WHEN       received since: 90m, 12h, 7d or a time such as 2026-01-31T08:00:00Z
  --all              every open one
  --state STATE      waiting, replayed, resolved or given-up, instead of the open ones (waiting, given-up)
  --limit N          at most so many, default 100

How:
  --to WHERE         replay: broker (every Trigger that matches gets it again), origin (only the function that it was
                     meant for, if that is one of ours), default: origin where possible, else broker
  --force            replay: also what came 89 days ago or earlier. Up to then a function knows what it has done, and a
                     replay of that does nothing; later it may do it again
  --yes              do it
  --by NAME          who is doing it, for the audit; default your user name
  --json             one JSON document on standard output
  --help             this text

Exit codes: 0 done, 1 something failed or was left out (the message says what), 2 wrong options or settings.
`;

/** Reads the command line. @throws TypeError with a message for the person who typed it. */
export function readOptions(args: readonly string[], nowMs: number): DeadLetterOptions | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      number: { type: 'string', multiple: true },
      id: { type: 'string', multiple: true },
      type: { type: 'string' },
      since: { type: 'string' },
      all: { type: 'boolean', default: false },
      state: { type: 'string', multiple: true },
      limit: { type: 'string', default: '100' },
      to: { type: 'string' },
      force: { type: 'boolean', default: false },
      yes: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
      by: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const [word, ...rest] = positionals;
  const command = commands.find((one) => one === word);
  if (command === undefined) throw new TypeError(`Say what to do: ${commands.join(', ')}.`);
  if (values.yes && values['dry-run']) throw new TypeError('--yes and --dry-run contradict each other.');
  const numbers = [...(command === 'show' ? rest : []), ...(values.number ?? [])];
  if (command === 'show' && numbers.length !== 1) throw new TypeError('show takes one number from the list.');
  if (command !== 'show' && rest.length > 0) throw new TypeError(`${word} does not take ${JSON.stringify(rest[0])}.`);
  const filter: DeadEventFilter = {
    ...(numbers.length === 0 ? {} : { sequences: numbers.map((one) => wholeNumber('--number', one)) }),
    ...(values.id === undefined ? {} : { ids: values.id }),
    ...(values.type === undefined ? {} : { type: values.type }),
    ...(values.since === undefined ? {} : { since: timeOf(values.since, nowMs) }),
  };
  if ((command === 'replay' || command === 'resolve') && !values.all && Object.keys(filter).length === 0) {
    throw new TypeError(`Say which events to ${command}: --number, --id, --type, --since or --all.`);
  }
  return {
    command,
    filter: command === 'show' ? filter : { ...filter, states: statesOf(values.state) },
    limit: wholeNumber('--limit', values.limit),
    target: targetOf(values.to),
    force: values.force,
    yes: values.yes,
    json: values.json,
    by: values.by ?? userInfo().username,
  };
}

function wholeNumber(option: string, text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text))
    throw new TypeError(`${option} takes a number from 1, not ${JSON.stringify(text)}.`);
  return Number(text);
}

function statesOf(words: readonly string[] | undefined): NonNullable<DeadEventFilter['states']> {
  if (words === undefined) return ['waiting', 'given-up'];
  return words.map((word) => {
    const state = states.find((one) => one === word);
    if (state === undefined) throw new TypeError(`--state takes ${states.join(', ')}, not ${JSON.stringify(word)}.`);
    return state;
  });
}

function targetOf(word: string | undefined): ReplayTarget {
  if (word === undefined) return 'either';
  if (word === 'broker' || word === 'origin') return word;
  throw new TypeError(`--to takes broker or origin, not ${JSON.stringify(word)}.`);
}

const unitsMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function timeOf(text: string, nowMs: number): Date {
  const span = /^(\d{1,6})([mhd])$/.exec(text);
  if (span !== null) return new Date(nowMs - Number(span[1]) * unitsMs[span[2] as keyof typeof unitsMs]);
  // a date without a time zone would mean another moment on another machine
  const isTime = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  if (isTime && !Number.isNaN(Date.parse(text))) return new Date(text);
  throw new TypeError(
    `--since takes 90m, 12h, 7d or a time such as 2026-01-31T08:00:00Z, not ${JSON.stringify(text)}.`,
  );
}
