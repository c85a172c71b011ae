import { type BaseIssue, type GenericSchema, safeParse } from 'valibot';
import { Failure } from '#shared/domain/failure.ts';
import { oneLine } from '#shared/domain/one-line.ts';
import { type FieldMistake, invalidRequest } from '../problem.ts';

/** One value of each; a name that comes twice is a mistake, for readers differ in which one they take. */
export function queryOf(search: string): Record<string, string> {
  const values: Record<string, string> = {};
  const mistakes: FieldMistake[] = [];
  for (const [name, value] of new URLSearchParams(search)) {
    const field = `query.${oneLine(name, 60)}`;
    if (Object.hasOwn(values, name)) mistakes.push({ field, detail: 'It is given twice: write it once.' });
    else Object.defineProperty(values, name, { value, enumerable: true, configurable: true, writable: true });
  }
  if (mistakes.length > 0) throw invalidRequest(mistakes);
  return values;
}

/** Parses one part of a request. Without a schema the part must be empty. @throws Failure `invalid-request`. */
export function parsed(part: 'path' | 'query' | 'body', schema: GenericSchema | undefined, value: unknown): unknown {
  if (schema === undefined) {
    if (part !== 'query') return undefined;
    const names = Object.keys(value as object);
    if (names.length === 0) return undefined;
    throw invalidRequest(
      names.map((name) => ({ field: `query.${oneLine(name, 60)}`, detail: 'It is not known here.' })),
    );
  }
  const result = safeParse(schema, value);
  if (result.success) return result.output;
  throw invalidRequest(result.issues.slice(0, 20).map((issue) => mistakeOf(part, issue)));
}

function mistakeOf(part: string, issue: BaseIssue<unknown>): FieldMistake {
  const path = (issue.path ?? []).map(({ key }) => String(key)).join('.');
  const field = oneLine(path === '' ? part : `${part}.${path}`, 120);
  // valibot's own texts quote the input: it may be a secret in the wrong place
  const detail =
    issue.expected === 'never'
      ? 'It is not known here: leave it out.'
      : issue.received === 'undefined'
        ? `It is missing: write ${issue.expected ?? 'it'}.`
        : issue.message.startsWith('Invalid ')
          ? `Write ${issue.expected ?? issue.type}.`
          : issue.message;
  return { field, detail: oneLine(detail, 300) };
}

/** The JSON of a body. @throws Failure `unsupported`, `too-large` or `invalid-request`. */
export function jsonOf(request: { type: string | undefined; body: Buffer; isTooLarge: boolean }): unknown {
  if (request.isTooLarge) throw new Failure('too-large', 'The body is larger than 1 MiB: send less.');
  if (request.body.length === 0) return undefined;
  const type = (request.type ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
  if (type !== 'application/json' && !/^application\/[a-z0-9.-]+\+json$/.test(type)) {
    throw new Failure('unsupported', 'Send the body as application/json.');
  }
  try {
    return JSON.parse(utf8.decode(request.body));
  } catch {
    throw invalidRequest([{ field: 'body', detail: 'It is no JSON in UTF-8.' }]);
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
