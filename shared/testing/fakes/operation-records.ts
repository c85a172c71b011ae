import { Failure } from '#shared/domain/failure.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import type { Operation } from '#shared/domain/operation/operation.ts';
import type { Lease, OperationRecords, Taken } from '#shared/domain/operation/ports.ts';

/** An operation in memory, with what its row holds besides. */
type Row = Operation & {
  leaseHolder: string | null;
  leaseUntilMs: number | null;
  woken: boolean;
  nextCheckAtMs: number | null;
  notBeforeMs: number | null;
  errorCode: string | null;
};

export type FakeStep = { step: string; attempt: number; fence: number; outcome: string | null };

/**
 * Records in memory that keep the promises of the real ones (the same contract suite runs on both), with what tests want
 * to see and to bring about. `clock` is the database's.
 */
export type FakeOperationRecords = OperationRecords & {
  add(operation?: Partial<Operation>): Operation;
  row(operationId: string): Row;
  steps: FakeStep[];
  requestCancel(operationId: string): void;
  expireLease(operationId: string): void;
  endBackOff(operationId: string): void;
  /** Ends the operation as the ends of an operation's function do: refused under an old fence. */
  end(lease: Lease, state: 'succeeded' | 'failed' | 'cancelled', errorCode?: string): void;
};

const active = ['running', 'waiting'];

export function fakeOperationRecords(clock: () => number = Date.now): FakeOperationRecords {
  const rows: Row[] = [];
  const steps: FakeStep[] = [];
  const row = (operationId: string): Row => {
    const found = rows.find(({ id }) => id === operationId);
    if (found === undefined) throw new Error(`no operation ${operationId}`);
    return found;
  };
  const held = ({ operationId, fence }: Lease): Row => {
    const mine = row(operationId);
    if (mine.fence === fence && mine.state === 'running') return mine;
    throw new Failure('fenced', `Operation ${operationId} was taken over.`);
  };
  const giveBack = (mine: Row, change: Partial<Row>) =>
    Object.assign(mine, { state: 'waiting', leaseHolder: null, leaseUntilMs: null, ...change });
  const closeStep = (lease: Lease, step: string, outcome: string) => {
    const open = steps.find((one) => one.step === step && one.fence === lease.fence && one.outcome === null);
    if (open !== undefined) open.outcome = outcome;
  };
  const isLeased = ({ leaseUntilMs }: Row) => leaseUntilMs !== null && leaseUntilMs >= clock();
  const mayHaveItsTurn = (mine: Row) =>
    mine.state !== 'queued' ||
    rows.every(
      (other, index) =>
        other.instanceId !== mine.instanceId ||
        (!active.includes(other.state) && !(other.state === 'queued' && index < rows.indexOf(mine))),
    );

  function take(operationId: string, options: Parameters<OperationRecords['take']>[1]): Taken {
    const mine = rows.find(({ id }) => id === operationId);
    if (mine === undefined || mine.kind !== options.kind) return { taken: false, because: 'unknown' };
    if (mine.state === 'running' && isLeased(mine)) {
      mine.woken = true;
      return { taken: false, because: 'held' };
    }
    if (!options.knownVersions.includes(mine.definitionVersion)) return { taken: false, because: 'other-version' };
    if (mine.state !== 'queued' && !active.includes(mine.state)) return { taken: false, because: 'finished' };
    if (!mayHaveItsTurn(mine)) return { taken: false, because: 'queued' };
    const isHeldOff = mine.notBeforeMs !== null && mine.notBeforeMs > clock();
    if (isHeldOff && !mine.cancelRequested) return { taken: false, because: 'backing-off' };
    const fence = 1 + Math.max(...rows.filter((one) => one.instanceId === mine.instanceId).map((one) => one.fence));
    const until = clock() + options.leaseMs;
    const change = { leaseHolder: options.holder, leaseUntilMs: until, nextCheckAtMs: until, woken: false };
    Object.assign(mine, { ...change, state: 'running', notBeforeMs: null, fence });
    return { taken: true, operation: { ...mine, deadlinePassed: mine.deadline.getTime() < clock() } };
  }

  return {
    steps,
    row,
    add(given = {}) {
      const operation: Row = {
        id: newOperationId(),
        instanceId: 'abcdefgh2345',
        kind: 'provision',
        definitionVersion: 1,
        state: 'queued',
        step: null,
        attempt: 1,
        round: 1,
        fence: 0,
        generation: 1,
        waitingFor: null,
        deadline: new Date(clock() + 1_800_000),
        deadlinePassed: false,
        ageMs: 0,
        cancelRequested: false,
        overtakenBy: null,
        requestedBy: 'urn:test',
        cause: 'event-1',
        request: {},
        leaseHolder: null,
        leaseUntilMs: null,
        woken: false,
        nextCheckAtMs: clock(),
        notBeforeMs: null,
        errorCode: null,
        ...given,
      };
      rows.push(operation);
      return operation;
    },
    requestCancel(operationId) {
      const mine = row(operationId);
      const state = mine.state === 'failed' ? 'queued' : mine.state;
      Object.assign(mine, { cancelRequested: true, woken: true, nextCheckAtMs: clock(), state });
    },
    endBackOff(operationId) {
      row(operationId).notBeforeMs = null;
    },
    expireLease(operationId) {
      row(operationId).leaseUntilMs = clock() - 1;
    },
    end(lease, state, errorCode) {
      const mine = held(lease);
      const next = state === 'failed' && mine.cancelRequested ? 'queued' : state;
      giveBack(mine, { state: next, nextCheckAtMs: next === 'queued' ? clock() : null, errorCode: errorCode ?? null });
    },
    take: async (operationId, options) => take(operationId, options),
    async beginStep(lease, { step, attempt, before, leaseMs }) {
      const mine = held(lease);
      if (before !== null) closeStep(lease, before, 'done');
      for (const one of steps) if (one.fence < lease.fence && one.outcome === null) one.outcome = 'failed';
      const same = steps.find((one) => one.step === step && one.fence === lease.fence && one.attempt === attempt);
      if (same === undefined) steps.push({ step, attempt, fence: lease.fence, outcome: null });
      else same.outcome = null;
      const until = clock() + leaseMs;
      const waitingFor = mine.step === step ? mine.waitingFor : null;
      Object.assign(mine, { step, attempt, woken: false, waitingFor, leaseUntilMs: until, nextCheckAtMs: until });
      const { cancelRequested, overtakenBy, deadline } = mine;
      return { cancelRequested, overtaken: overtakenBy !== null, deadlinePassed: deadline.getTime() < clock() };
    },
    async cancellation(operationId) {
      const { state, cancelRequested, overtakenBy } = row(operationId);
      if (overtakenBy !== null) return 'none';
      if (state === 'cancelled') return 'carried-out';
      return cancelRequested && ['queued', ...active].includes(state) ? 'requested' : 'none';
    },
    async renew(lease, { leaseMs }) {
      const mine = rows.find(({ id }) => id === lease.operationId);
      if (mine?.fence !== lease.fence || mine.state !== 'running') return;
      Object.assign(mine, { leaseUntilMs: clock() + leaseMs, nextCheckAtMs: clock() + leaseMs });
    },
    async wait(lease, { step, for: waitingFor, checkAfterMs }) {
      const mine = held(lease);
      if (mine.woken) return 'woken';
      giveBack(mine, { waitingFor, attempt: 1, nextCheckAtMs: clock() + checkAfterMs });
      closeStep(lease, step, 'waiting');
      return 'waiting';
    },
    async giveBack(lease, { step, outcome }) {
      giveBack(held(lease), { waitingFor: 'its next turn', nextCheckAtMs: clock() });
      closeStep(lease, step, outcome);
    },
    async tryLater(lease, { step, attempt, failure, afterMs }) {
      const mine = held(lease);
      const nextCheckAtMs = clock() + (mine.cancelRequested && mine.woken ? 0 : afterMs);
      giveBack(mine, {
        attempt,
        notBeforeMs: clock() + afterMs,
        waitingFor: `another try: ${failure.code}`,
        nextCheckAtMs,
      });
      closeStep(lease, step, 'failed');
    },
  };
}
