/**
 * Every code a `Failure` may carry, with what it means for the caller.
 *
 * `transient` may go away by itself and is tried again; `permanent` needs a person or another request;
 * `fenced` means that somebody newer holds the work: stop, touch nothing, say nothing.
 */
export const failureCodes = {
  'invalid-event': 'permanent',
  'invalid-request': 'permanent',
  'reused-event-id': 'permanent',
  'reused-key': 'permanent',
  'precondition-failed': 'permanent',
  'too-large': 'permanent',
  unsupported: 'permanent',
  unauthenticated: 'permanent',
  forbidden: 'permanent',
  'not-found': 'permanent',
  'quota-exceeded': 'permanent',
  'host-taken': 'permanent',
  'name-reserved': 'permanent',
  'unknown-plan': 'permanent',
  'unknown-image': 'permanent',
  'foreign-object': 'permanent',
  'not-allowed': 'permanent',
  suspended: 'permanent',
  terminated: 'permanent',
  superseded: 'permanent',
  'backup-required': 'permanent',
  'too-many-operations': 'permanent',
  'job-failed': 'permanent',
  'deadline-exceeded': 'permanent',
  cancelled: 'permanent',
  misconfigured: 'permanent',
  'constraint-violated': 'permanent',
  damaged: 'permanent',
  'no-capacity': 'transient',
  conflict: 'transient',
  'too-many-requests': 'transient',
  unavailable: 'transient',
  timeout: 'transient',
  'outcome-unknown': 'transient',
  internal: 'transient',
  fenced: 'fenced',
} as const satisfies Record<string, 'transient' | 'permanent' | 'fenced'>;

/** One of the closed list of failure codes. */
export type FailureCode = keyof typeof failureCodes;

/** The only error class of the project. `message` is a sentence a person can act on and never holds a secret. */
export class Failure extends Error {
  readonly code: FailureCode;
  /** Small, loggable facts about the failure; never a secret. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;

  constructor(
    code: FailureCode,
    message: string,
    options: { cause?: unknown; facts?: Record<string, string | number | boolean> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.code = code;
    this.facts = options.facts ?? {};
  }
}

/** The failure a caught value is, or `internal` around it: a value that is no `Failure` is a bug or an unmapped error. */
export function asFailure(caught: unknown): Failure {
  if (caught instanceof Failure) return caught;
  const message = caught instanceof Error ? caught.message : String(caught);
  return new Failure('internal', `Unexpected error: ${message}`, { cause: caught });
}

/** May the same step be tried again without anybody changing anything? */
export function mayRetry(failure: Failure): boolean {
  return failureCodes[failure.code] === 'transient';
}
