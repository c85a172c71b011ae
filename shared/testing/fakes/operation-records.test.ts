import { describe } from 'vitest';
import { operationRecordsContract } from '../contracts/operation-records.ts';
import { fakeOperationRecords } from './operation-records.ts';

describe('the operation records in memory', () => {
  operationRecordsContract(() => {
    const records = fakeOperationRecords();
    return {
      records,
      queue: async ({ deadlineMs = 60_000, ...given } = {}) =>
        records.add({ ...given, deadline: new Date(Date.now() + deadlineMs) }).id,
      look: async (operationId) => {
        const { state, step, attempt, fence, waitingFor, nextCheckAtMs } = records.row(operationId);
        const dueInMs = nextCheckAtMs === null ? null : nextCheckAtMs - Date.now();
        return { state, step, attempt, fence, waitingFor, dueInMs };
      },
      steps: async () => structuredClone(records.steps),
      requestCancel: async (operationId) => records.requestCancel(operationId),
      expireLease: async (operationId) => records.expireLease(operationId),
      endBackOff: async (operationId) => records.endBackOff(operationId),
      end: async (lease, state) => records.end(lease, state),
    };
  });
});
