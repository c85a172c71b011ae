import { Failure } from '#shared/domain/failure.ts';
import type { Lease, OperationRecords, Taken } from '#shared/domain/operation/ports.ts';
import type { OperationRecordsWorld } from './world.ts';

const leaseMs = 30_000;

export const unavailable = new Failure('unavailable', 'The server is away.');

/** What a process does with the records, in the words of the tests. */
export type Runner = {
  /** That of the test that runs. */
  world(): OperationRecordsWorld;
  take(operationId: string, given?: { holder?: string; knownVersions?: number[]; kind?: string }): Promise<Taken>;
  begin(
    lease: Lease,
    step: string,
    given?: { attempt?: number; before?: string | null },
  ): ReturnType<OperationRecords['beginStep']>;
  wait(lease: Lease, step: string, checkAfterMs?: number): ReturnType<OperationRecords['wait']>;
};

export function runnerOf(world: () => OperationRecordsWorld): Runner {
  return {
    world,
    take: (operationId, given) =>
      world().records.take(operationId, {
        kind: 'provision',
        knownVersions: [1],
        holder: 'one',
        leaseMs,
        ...given,
      }),
    begin: (lease, step, given) =>
      world().records.beginStep(lease, { step, attempt: 1, before: null, leaseMs, ...given }),
    wait: (lease, step, checkAfterMs = 5_000) => world().records.wait(lease, { step, for: 'a Job', checkAfterMs }),
  };
}

/** @throws Error where the operation was not to be had. */
export function leaseOf(taken: Taken): Lease {
  if (!taken.taken) throw new Error(`not taken: ${taken.because}`);
  return { operationId: taken.operation.id, fence: taken.operation.fence };
}
