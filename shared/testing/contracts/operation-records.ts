import { beforeEach, describe, expect, test } from 'vitest';
import { cancelTests } from './operation-records/cancels.ts';
import { fenceTests } from './operation-records/fence.ts';
import { leaseTests } from './operation-records/lease.ts';
import { leaseOf, runnerOf } from './operation-records/runner.ts';
import { stepTests } from './operation-records/steps.ts';
import { wakeTests } from './operation-records/wakes.ts';
import type { OperationRecordsWorld } from './operation-records/world.ts';

/** What every implementation of OperationRecords promises the runner. */
export function operationRecordsContract(open: () => OperationRecordsWorld): void {
  let current: OperationRecordsWorld;
  beforeEach(() => {
    current = open();
  });
  const runner = runnerOf(() => current);
  const { world, take } = runner;

  describe('taking the lease', () => leaseTests(runner));
  describe('steps', () => stepTests(runner));
  describe('waiting and waking', () => wakeTests(runner));
  describe('cancelling', () => cancelTests(runner));

  test('anybody may ask whether an operation is being undone, or was', async () => {
    const id = await world().queue();
    expect(await world().records.cancellation(id)).toBe('none');
    const lease = leaseOf(await take(id));
    await world().requestCancel(id);
    expect(await world().records.cancellation(id)).toBe('requested');
    await world().end(lease, 'cancelled');
    expect(await world().records.cancellation(id)).toBe('carried-out');
  });

  describe('the fence', () => fenceTests(runner));
}
