import type { MannerName } from './manners.ts';

/** What a subscriber does with an event that it gets. */
export type ScriptedAnswer =
  | { status: number; body?: string; headers?: Readonly<Record<string, string>> }
  /** The connection is reset without an answer. */
  | 'reset'
  /** Nothing is answered until the broker gives up. */
  | 'silence';

/** Attempts, and what becomes of the event: `-` done, `lost`, or a dead letter with this `knativeerrorcode` (`none`: without). */
export type Outcome = `${number} ${'-' | 'lost' | number | 'none'}`;

export type AnswerRow = { answer: string; gives: ScriptedAnswer; outcomes: Readonly<Record<MannerName, Outcome>> };

const reply = { 'ce-specversion': '1.0', 'ce-id': 'r', 'ce-source': '/r', 'ce-type': 'reply' };

/** Where a redirect of the table leads; 204 is answered there. */
export const elsewhere = '/elsewhere';

const row = (answer: string, gives: ScriptedAnswer, outcomes: readonly [Outcome, Outcome, Outcome]): AnswerRow => {
  const [rabbitmq, inMemory, kafka] = outcomes;
  return { answer, gives, outcomes: { rabbitmq, 'in-memory': inMemory, kafka } };
};

/** In the outcomes 0 stands for the status itself. */
const statuses = (list: readonly number[], outcomes: readonly [Outcome, Outcome, Outcome]): AnswerRow[] =>
  list.map((status) => {
    const of = (outcome: Outcome) => outcome.replace(/ 0$/, ` ${status}`) as Outcome;
    return row(String(status), { status }, [of(outcomes[0]), of(outcomes[1]), of(outcomes[2])]);
  });

/**
 * Every class of broker against every answer, with retry 3: what the real data planes did in the same place, or, of Kafka,
 * what its source says. The in-memory column is held against the real one in the cluster tier.
 */
export const answerTable: readonly AnswerRow[] = [
  ...statuses([200, 202, 204], ['1 -', '1 -', '1 -']),
  row('200 with an event', { status: 200, headers: reply }, ['1 -', '1 -', '1 -']),
  row('200 with another body', { status: 200, body: 'done' }, ['1 -', '4 none', '1 none']),
  row('302 with a Location', { status: 302, headers: { location: elsewhere } }, ['1 lost', '1 -', '1 302']),
  ...statuses([301, 302], ['1 lost', '1 0', '1 0']),
  ...statuses([304], ['1 lost', '1 none', '1 0']),
  ...statuses([400, 401, 403, 410, 413, 422, 425], ['1 lost', '1 0', '1 0']),
  ...statuses([404, 408, 409, 429, 500, 501, 502, 503, 504], ['4 0', '4 0', '4 0']),
  row('a reset', 'reset', ['4 -1', '4 500', '4 none']),
  row('no answer in time', 'silence', ['4 -1', '4 none', '4 none']),
];
