import type { Lease, OperationRecords } from '#shared/domain/operation/ports.ts';

/** How an operation stands. `dueInMs` is null when nobody is to look at it again. */
export type SeenOperation = {
  state: string;
  step: string | null;
  attempt: number;
  fence: number;
  waitingFor: string | null;
  dueInMs: number | null;
};

/** What the suite needs of the place where the records are. */
export type OperationRecordsWorld = {
  records: OperationRecords;
  /** Notes a queued operation of kind provision, version 1, younger than those before. */
  queue(given?: { instanceId?: string; deadlineMs?: number }): Promise<string>;
  look(operationId: string): Promise<SeenOperation>;
  /** Its steps in the order they were begun. */
  steps(operationId: string): Promise<{ step: string; attempt: number; fence: number; outcome: string | null }[]>;
  requestCancel(operationId: string): Promise<void>;
  expireLease(operationId: string): Promise<void>;
  /** The time of the next try has come. */
  endBackOff(operationId: string): Promise<void>;
  end(lease: Lease, state: 'succeeded' | 'failed' | 'cancelled'): Promise<void>;
};
