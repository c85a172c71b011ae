import * as v from 'valibot';
import { checkJson } from '#shared/adapters/eventing/canonical-json.ts';
import { Failure } from '#shared/domain/failure.ts';

/** The JSON of a body. An empty one is refused too: it was lost on its way, and has to come again. @throws Failure `invalid-event`. */
export function readJson(body: Buffer): unknown {
  if (body.length === 0) throw new Failure('invalid-event', 'The body is empty. Send the notification as JSON.');
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new Failure('invalid-event', 'The body is no JSON in UTF-8.');
  }
  checkJson(content, { maxDepth: 32 });
  return content;
}

/** @throws Failure `invalid-event` whose fact `field` names what is wrong; values are never repeated. */
export function checkedBody<Schema extends v.GenericSchema>(schema: Schema, content: unknown): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, content);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const field = v.getDotPath(issue) ?? 'body';
  const complaint = issue.kind === 'validation' ? issue.message : `must be ${issue.expected ?? 'something else'}`;
  throw new Failure('invalid-event', `${field} ${complaint}.`, { facts: { field } });
}
