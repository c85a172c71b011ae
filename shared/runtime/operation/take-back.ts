import { setTimeout as delay } from 'node:timers/promises';
import { asFailure, type Failure } from '#shared/domain/failure.ts';
import type { OperationRecords } from '#shared/domain/operation/ports.ts';

/** How often, and how many times, a cancel that is being carried out is asked after. */
const check = { everyMs: 500, times: 20 };

/**
 * For a process that was overtaken: takes back what its last act may have made, if the operation was cancelled.
 *
 * One that stood still in an act may make something after the newer holder had undone everything. A store that keeps
 * no fence of what is gone, such as the Kubernetes API, cannot refuse to create it, and nobody would look for it again.
 * While the operation is not cancelled, what was made is the newer holder's. Never throws.
 */
export async function takeBack(
  operationId: string,
  undo: () => Promise<void>,
  options: {
    records: Pick<OperationRecords, 'cancellation'>;
    pause?: (milliseconds: number) => Promise<unknown>;
    onTrouble: (failure: Failure) => void;
  },
): Promise<void> {
  const { records, pause = delay } = options;
  try {
    for (let times = 0; times < check.times; times += 1) {
      const cancellation = await records.cancellation(operationId);
      if (cancellation === 'none') return;
      if (cancellation === 'carried-out') {
        await undo();
        return;
      }
      await pause(check.everyMs);
    }
  } catch (error) {
    const failure = asFailure(error);
    // A store with a fence of its own has refused the act, too.
    if (failure.code !== 'fenced') options.onTrouble(failure);
  }
}
