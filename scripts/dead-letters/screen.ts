import { isUtf8 } from 'node:buffer';
import type { DeadEventSummary } from '#shared/adapters/postgres/dead-event-search.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';

/** A line per event, in columns. */
export function table(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const none = '-';

/** The list for people. What a publisher sent may hold anything: control characters are shown as escapes. */
export function listOf(events: readonly DeadEventSummary[]): string {
  const head = ['NUMBER', 'STATE', 'CLASS', 'RECEIVED', 'TYPE', 'ID', 'FOR', 'CODE', 'REPLAYS', 'NEXT'];
  const lines = events.map((event) => [
    String(event.sequence),
    event.state,
    event.class,
    event.received_at.toISOString().slice(0, 19),
    printable(event.type ?? none),
    printable(event.id ?? none),
    printable(event.origin ?? event.received_by),
    event.error_code === null ? event.reason_code : String(event.error_code),
    String(event.replays),
    event.next_replay_at?.toISOString().slice(0, 19) ?? none,
  ]);
  return events.length === 0 ? 'There are none.' : table([head, ...lines]);
}

/** One event for people. */
export function eventText(event: Row<'dead_events'>): string {
  const { attributes, body, digest: _, ...rest } = event;
  const facts = Object.entries(rest).map(([name, value]) => [`${name}:`, printable(factText(value))]);
  const named = Object.entries(attributes).map(([name, value]) => [`  ${printable(name)}:`, printable(value)]);
  return [table(facts), 'attributes:', table(named), bodyText(body)].join('\n');
}

/** One event for programs: a body that is text as `body`, any other as `bodyBase64`. */
export function eventDocument(event: Row<'dead_events'>): Record<string, unknown> {
  const { body, digest, ...rest } = event;
  const data = isUtf8(body) ? { body: body.toString('utf8') } : { bodyBase64: body.toString('base64') };
  return { ...rest, digest: digest.toString('hex'), ...data };
}

function bodyText(body: Buffer): string {
  if (body.length === 0) return 'no body';
  if (!isUtf8(body)) return `body (${body.length} bytes, base64):\n${body.toString('base64')}`;
  return `body (${body.length} bytes):\n${printable(body.toString('utf8'), { keepLines: true })}`;
}

function factText(value: string | number | boolean | Date | null): string {
  if (value instanceof Date) return value.toISOString();
  return value === null ? none : String(value);
}

/** Without what would move a terminal's cursor. */
export function printable(text: string, options: { keepLines?: boolean } = {}): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, (character) =>
    options.keepLines === true && (character === '\n' || character === '\t')
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
