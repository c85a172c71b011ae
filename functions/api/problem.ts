import { Failure, type FailureCode } from '#shared/domain/failure.ts';

/** Problem details (RFC 9457), with our own members behind the registered ones. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  /** A sentence a person can act on. */
  detail: string;
  code: FailureCode;
  requestId: string;
  /** What of the request is meant: `query.limit`, `body.name`, `header.authorization`, `path.id`. */
  errors: { field: string; detail: string }[];
};

type Kind = { status: number; title: string; field: string; retryAfterS?: number };

const invalid = { status: 400, title: 'The request is not as it must be' };
const conflict = { status: 409, title: 'It is not possible as things are', field: 'path' };
const later = { status: 503, title: 'Not possible now', field: 'request', retryAfterS: 2 };
const ours = { status: 500, title: 'A fault of ours', field: 'request' };

/** The one place where failures become statuses. `field` is meant where the failure names none. */
const kinds: Readonly<Record<FailureCode, Kind>> = {
  'invalid-request': { ...invalid, field: 'request' },
  'invalid-event': { ...invalid, field: 'body' },
  'name-reserved': { ...invalid, field: 'body.name' },
  'unknown-plan': { ...invalid, field: 'body.plan' },
  'unknown-image': { ...invalid, field: 'body.image' },
  unauthenticated: { status: 401, title: 'Who asks is not known', field: 'header.authorization' },
  forbidden: { status: 403, title: 'Not allowed to this caller', field: 'header.authorization' },
  'not-found': { status: 404, title: 'There is no such thing', field: 'path' },
  'precondition-failed': { status: 412, title: 'It has changed meanwhile', field: 'header.if-match' },
  'too-large': { status: 413, title: 'Too large', field: 'body' },
  unsupported: { status: 415, title: 'Not a kind of content that is taken', field: 'header.content-type' },
  'reused-key': { status: 422, title: 'The key was used for another request', field: 'header.idempotency-key' },
  'reused-event-id': { status: 422, title: 'The id was used for another request', field: 'header.idempotency-key' },
  'too-many-requests': { status: 429, title: 'Too many requests', field: 'header.authorization', retryAfterS: 1 },
  'not-allowed': conflict,
  'quota-exceeded': conflict,
  'host-taken': { ...conflict, field: 'body.name' },
  suspended: conflict,
  terminated: conflict,
  superseded: conflict,
  'backup-required': conflict,
  'too-many-operations': conflict,
  cancelled: conflict,
  'foreign-object': conflict,
  'job-failed': conflict,
  'deadline-exceeded': conflict,
  conflict: { ...conflict, retryAfterS: 1 },
  'no-capacity': { ...later, retryAfterS: 60 },
  unavailable: later,
  timeout: later,
  'outcome-unknown': later,
  fenced: later,
  internal: ours,
  misconfigured: ours,
  'constraint-violated': ours,
  damaged: ours,
};

/** Mistakes a parser found, as the `cause` of an `invalid-request`. */
export type FieldMistake = { field: string; detail: string };

/** A request that is not as it must be. The text names the first mistake; the answer lists all. */
export function invalidRequest(mistakes: readonly FieldMistake[]): Failure {
  const [first] = mistakes;
  const text = first === undefined ? 'The request is not as it must be.' : `${first.field}: ${first.detail}`;
  return new Failure('invalid-request', text, {
    cause: mistakes,
    facts: first === undefined ? {} : { field: first.field },
  });
}

/**
 * The answer to a failure, and after how many seconds asking again may help. `isKeyed`: the request had an Idempotency-Key,
 * and its route takes one.
 */
export function problemOf(
  failure: Failure,
  requestId: string,
  { isKeyed = false }: { isKeyed?: boolean } = {},
): { problem: Problem; retryAfterS: number | undefined } {
  const { status, title, field, retryAfterS } = kinds[failure.code];
  const detail = detailOf(failure, { status, isKeyed });
  const mistakes = Array.isArray(failure.cause) ? (failure.cause as FieldMistake[]) : undefined;
  const named = failure.facts['field'];
  const stated = failure.facts['retryAfterMs'];
  const code = status === 500 ? 'internal' : failure.code;
  return {
    problem: {
      type: `urn:odoo-fleet:problem:${code}`,
      title,
      status,
      detail,
      code,
      requestId,
      errors: mistakes ?? [{ field: typeof named === 'string' ? named : field, detail }],
    },
    retryAfterS: typeof stated === 'number' ? Math.max(1, Math.ceil(stated / 1_000)) : retryAfterS,
  };
}

/** Of a fault of ours, or of a server behind us, nothing is told: the log has it under the request's id. */
function detailOf(failure: Failure, { status, isKeyed }: { status: number; isKeyed: boolean }): string {
  if (status === 500) return 'Something went wrong on our side. Give the request id when you ask about it.';
  if (failure.code === 'outcome-unknown')
    return isKeyed
      ? 'It may have been done. Repeat the request with the same Idempotency-Key: it is done once.'
      : 'It may have been done: look before you repeat it.';
  if (status === 503 && failure.code !== 'no-capacity') return 'A part of the platform does not answer. Try again.';
  return failure.message;
}
