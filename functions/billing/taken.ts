import type { FailureCode } from '#shared/domain/failure.ts';

/** What came of an event, and the instances that are to be decided about. */
export type Taken =
  | { outcome: 'applied' | 'completed'; instanceIds: readonly string[] }
  | { outcome: 'superseded' }
  | { outcome: 'refused'; code: FailureCode; text: string };
