import { beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import type { Lease, OperationRecords, Taken } from '#shared/domain/operation/ports.ts';

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

const leaseMs = 30_000;
const unavailable = new Failure('unavailable', 'The server is away.');

/** What every implementation of OperationRecords promises the runner. */
export function operationRecordsContract(open: () => OperationRecordsWorld): void {
  let world: OperationRecordsWorld;
  let records: OperationRecords;
  beforeEach(() => {
    world = open();
    ({ records } = world);
  });

  const take = (operationId: string, given: { holder?: string; knownVersions?: number[]; kind?: string } = {}) =>
    records.take(operationId, { kind: 'provision', knownVersions: [1], holder: 'one', leaseMs, ...given });
  const leaseOf = (taken: Taken): Lease => {
    if (!taken.taken) throw new Error(`not taken: ${taken.because}`);
    return { operationId: taken.operation.id, fence: taken.operation.fence };
  };
  const begin = (lease: Lease, step: string, given: { attempt?: number; before?: string | null } = {}) =>
    records.beginStep(lease, { step, attempt: 1, before: null, leaseMs, ...given });
  const wait = (lease: Lease, step: string, checkAfterMs = 5_000) =>
    records.wait(lease, { step, for: 'a Job', checkAfterMs });

  describe('taking the lease', () => {
    test('a queued operation begins under fence 1, due again when the lease ends', async () => {
      const id = await world.queue();
      const taken = await take(id);
      expect(taken).toMatchObject({
        taken: true,
        operation: { id, state: 'running', fence: 1, step: null, attempt: 1, round: 1, cancelRequested: false },
      });
      const { dueInMs, ...seen } = await world.look(id);
      expect(seen).toMatchObject({ state: 'running', fence: 1 });
      expect(dueInMs).toBeGreaterThan(20_000);
    });

    test('exactly one of twenty that ask at once gets it', async () => {
      const id = await world.queue();
      const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => take(id, { holder: `holder ${at}` })));
      expect(answers.filter(({ taken }) => taken)).toHaveLength(1);
      expect(answers.filter((answer) => !answer.taken && answer.because === 'held')).toHaveLength(19);
      expect((await world.look(id)).fence).toBe(1);
    });

    test('a lease that ran out can be taken, under a higher fence', async () => {
      const id = await world.queue();
      leaseOf(await take(id));
      expect(await take(id)).toEqual({ taken: false, because: 'held' });
      await world.expireLease(id);
      expect(leaseOf(await take(id)).fence).toBe(2);
    });

    test('a waiting operation is taken at once, whenever it is due', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      expect(await wait(lease, 'one', 600_000)).toBe('waiting');
      expect(leaseOf(await take(id)).fence).toBe(2);
    });

    test('the operations of one instance have their turns in order', async () => {
      const [first, second, third] = [await world.queue(), await world.queue(), await world.queue()];
      expect(await take(second)).toEqual({ taken: false, because: 'queued' });
      const lease = leaseOf(await take(first));
      await begin(lease, 'one');
      expect(await take(second)).toEqual({ taken: false, because: 'queued' });
      await wait(lease, 'one');
      expect(await take(second)).toEqual({ taken: false, because: 'queued' });
      await world.end(leaseOf(await take(first)), 'succeeded');
      expect(await take(third)).toEqual({ taken: false, because: 'queued' });
      expect(await take(second)).toMatchObject({ taken: true });
      expect(await take(first)).toEqual({ taken: false, because: 'finished' });
    });

    test('of two queued ones of an instance that are taken at once, one gets it', async () => {
      const ids = [await world.queue(), await world.queue()];
      const answers = await Promise.all([...ids, ...ids].map((id) => take(id)));
      expect(answers.filter(({ taken }) => taken)).toHaveLength(1);
    });

    test('operations of other instances do not wait', async () => {
      const [mine, other] = [await world.queue(), await world.queue({ instanceId: 'bbbbbbbbbbbb' })];
      expect(await take(mine)).toMatchObject({ taken: true });
      expect(await take(other)).toMatchObject({ taken: true });
    });

    test('what it does not understand it leaves alone', async () => {
      const id = await world.queue();
      expect(await take(id, { knownVersions: [2, 3] })).toEqual({ taken: false, because: 'other-version' });
      expect(await take(id, { kind: 'suspend' })).toEqual({ taken: false, because: 'unknown' });
      expect(await take(newOperationId())).toEqual({ taken: false, because: 'unknown' });
      expect(await world.look(id)).toMatchObject({ state: 'queued', fence: 0 });
      expect(await take(id, { knownVersions: [2, 1] })).toMatchObject({ operation: { definitionVersion: 1 } });
    });

    test.each(['succeeded', 'failed', 'cancelled'] as const)('one that has %s is finished', async (state) => {
      const id = await world.queue();
      await world.end(leaseOf(await take(id)), state);
      expect(await take(id)).toEqual({ taken: false, because: 'finished' });
      expect(await world.look(id)).toMatchObject({ state, dueInMs: null });
    });
  });

  describe('steps', () => {
    test('each is noted with its attempt, and closed when the next one begins', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      expect(await begin(lease, 'one')).toEqual({ cancelRequested: false, overtaken: false, deadlinePassed: false });
      await begin(lease, 'two', { before: 'one' });
      expect(await world.look(id)).toMatchObject({ state: 'running', step: 'two', attempt: 1 });
      expect(await world.steps(id)).toEqual([
        { step: 'one', attempt: 1, fence: 1, outcome: 'done' },
        { step: 'two', attempt: 1, fence: 1, outcome: null },
      ]);
    });

    test('a try that failed is noted, and the next one is a row of its own', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      await records.tryLater(lease, { step: 'one', attempt: 2, failure: unavailable, afterMs: 4_000 });
      const { dueInMs, ...seen } = await world.look(id);
      expect(seen).toMatchObject({ state: 'waiting', step: 'one', attempt: 2, waitingFor: 'another try: unavailable' });
      expect(dueInMs).toBeGreaterThan(2_000);
      // Whoever asks meanwhile does not use up a try.
      expect(await take(id)).toEqual({ taken: false, because: 'backing-off' });
      await world.endBackOff(id);
      const taken = await take(id);
      expect(taken).toMatchObject({ operation: { step: 'one', attempt: 2 } });
      await begin(leaseOf(taken), 'one', { attempt: 2 });
      await begin(leaseOf(taken), 'two', { before: 'one' });
      expect(await world.steps(id)).toEqual([
        { step: 'one', attempt: 1, fence: 1, outcome: 'failed' },
        { step: 'one', attempt: 2, fence: 2, outcome: 'done' },
        { step: 'two', attempt: 1, fence: 2, outcome: null },
      ]);
    });

    test('a cancel does not wait for the time of the next try', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      await records.tryLater(lease, { step: 'one', attempt: 2, failure: unavailable, afterMs: 60_000 });
      await world.requestCancel(id);
      expect(await take(id)).toMatchObject({ taken: true, operation: { cancelRequested: true } });
    });

    test('a lease that is renewed lasts on, and an old one is not', async () => {
      const id = await world.queue();
      const old = leaseOf(await take(id));
      await world.expireLease(id);
      const lease = leaseOf(await take(id));
      await records.renew(lease, { leaseMs: 120_000 });
      expect((await world.look(id)).dueInMs).toBeGreaterThan(100_000);
      await records.renew(old, { leaseMs: 600_000 });
      expect((await world.look(id)).dueInMs).toBeLessThan(130_000);
    });

    test('the fence grows over all operations of an instance', async () => {
      const first = leaseOf(await take(await world.queue()));
      await begin(first, 'one');
      await world.end(first, 'succeeded');
      expect(leaseOf(await take(await world.queue())).fence).toBe(first.fence + 1);
      expect(leaseOf(await take(await world.queue({ instanceId: 'bbbbbbbbbbbb' }))).fence).toBe(1);
    });

    test('a look that can wait forgets the tries before it', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one', { attempt: 7 });
      await wait(lease, 'one');
      expect(await world.look(id)).toMatchObject({ step: 'one', attempt: 1, waitingFor: 'a Job' });
    });

    test('one that was woken is looked at again under the same row', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      await take(id);
      expect(await wait(lease, 'one')).toBe('woken');
      await begin(lease, 'one');
      expect(await wait(lease, 'one')).toBe('waiting');
      expect(await world.steps(id)).toEqual([{ step: 'one', attempt: 1, fence: 1, outcome: 'waiting' }]);
    });

    test('what a dead process had begun is closed when another goes on', async () => {
      const id = await world.queue();
      await begin(leaseOf(await take(id)), 'one');
      await world.expireLease(id);
      await begin(leaseOf(await take(id)), 'one');
      expect(await world.steps(id)).toEqual([
        { step: 'one', attempt: 1, fence: 1, outcome: 'failed' },
        { step: 'one', attempt: 1, fence: 2, outcome: null },
      ]);
    });

    test('a deadline that has passed is said', async () => {
      const id = await world.queue({ deadlineMs: -1 });
      expect(await begin(leaseOf(await take(id)), 'one')).toMatchObject({ deadlinePassed: true });
    });
  });

  describe('waiting and waking', () => {
    test('a call while the lease is held makes the holder look once more', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      expect(await take(id)).toEqual({ taken: false, because: 'held' });
      expect(await wait(lease, 'one')).toBe('woken');
      expect(await world.look(id)).toMatchObject({ state: 'running', fence: 1 });
    });

    test('wakes are never lost: after each, somebody looks', async () => {
      const id = await world.queue();
      for (let round = 0; round < 10; round += 1) {
        const lease = leaseOf(await take(id));
        await begin(lease, 'one');
        // An event and the end of the turn at the same moment: either the event takes the lease, or the holder stays.
        const [waited, answer] = await Promise.all([wait(lease, 'one'), take(id)]);
        expect([waited, answer.taken]).toSatisfy(
          ([how, isTaken]) => (how === 'woken' && isTaken === false) || (how === 'waiting' && isTaken === true),
        );
        if (waited === 'woken') {
          await begin(lease, 'one');
          await wait(lease, 'one');
        } else {
          await begin(leaseOf(answer), 'one');
          await wait(leaseOf(answer), 'one');
        }
      }
    });

    test('giving back makes it due at once, woken or not', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      await take(id);
      await records.giveBack(lease, { step: 'one', outcome: 'done' });
      const { dueInMs, ...seen } = await world.look(id);
      expect(seen).toMatchObject({ state: 'waiting', step: 'one' });
      expect(dueInMs).toBeLessThanOrEqual(0);
      expect(await world.steps(id)).toEqual([{ step: 'one', attempt: 1, fence: 1, outcome: 'done' }]);
    });
  });

  describe('cancelling', () => {
    test('is seen at the next step, and wakes a holder that would wait', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      await world.requestCancel(id);
      expect(await wait(lease, 'one')).toBe('woken');
      expect(await begin(lease, 'one')).toMatchObject({ cancelRequested: true });
    });

    test('does not wait for the next try of a step', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await begin(lease, 'one');
      await world.requestCancel(id);
      await records.tryLater(lease, { step: 'one', attempt: 2, failure: unavailable, afterMs: 60_000 });
      expect((await world.look(id)).dueInMs).toBeLessThanOrEqual(0);
      expect(await take(id)).toMatchObject({ operation: { cancelRequested: true } });
    });

    test('is not lost when the operation fails in the same moment', async () => {
      const id = await world.queue();
      const lease = leaseOf(await take(id));
      await world.requestCancel(id);
      await world.end(lease, 'failed');
      const { state, dueInMs } = await world.look(id);
      expect(state).toBe('queued');
      expect(dueInMs).toBeLessThanOrEqual(0);
      expect(await take(id)).toMatchObject({ taken: true, operation: { cancelRequested: true } });
    });

    test('brings a failed operation back', async () => {
      const id = await world.queue();
      await world.end(leaseOf(await take(id)), 'failed');
      await world.requestCancel(id);
      expect(await take(id)).toMatchObject({ taken: true, operation: { cancelRequested: true } });
    });
  });

  test('anybody may ask whether an operation is being undone, or was', async () => {
    const id = await world.queue();
    expect(await records.cancellation(id)).toBe('none');
    const lease = leaseOf(await take(id));
    await world.requestCancel(id);
    expect(await records.cancellation(id)).toBe('requested');
    await world.end(lease, 'cancelled');
    expect(await records.cancellation(id)).toBe('carried-out');
  });

  describe('the fence', () => {
    const writes: [string, (lease: Lease) => Promise<unknown>][] = [
      ['beginning a step', (lease) => begin(lease, 'two')],
      ['waiting', (lease) => wait(lease, 'one')],
      ['giving back', (lease) => records.giveBack(lease, { step: 'one', outcome: 'done' })],
      [
        'trying later',
        (lease) => records.tryLater(lease, { step: 'one', attempt: 2, failure: unavailable, afterMs: 0 }),
      ],
      ['succeeding', (lease) => world.end(lease, 'succeeded')],
      ['failing', (lease) => world.end(lease, 'failed')],
      ['cancelling', (lease) => world.end(lease, 'cancelled')],
    ];
    const refused = async (lease: Lease, write: (lease: Lease) => Promise<unknown>) => {
      const before = [await world.look(lease.operationId), await world.steps(lease.operationId)] as const;
      await expect(write(lease)).rejects.toMatchObject({ code: 'fenced' });
      const after = [await world.look(lease.operationId), await world.steps(lease.operationId)] as const;
      expect(after[0]).toMatchObject({ ...before[0], dueInMs: after[0].dueInMs });
      expect(after[1]).toEqual(before[1]);
    };

    test.each(writes)('%s is refused after another has taken over, and changes nothing', async (_name, write) => {
      const id = await world.queue();
      const old = leaseOf(await take(id));
      await begin(old, 'one');
      await world.expireLease(id);
      await begin(leaseOf(await take(id)), 'one');
      await refused(old, write);
    });

    test.each(writes)('%s is refused once the lease was given back', async (_name, write) => {
      const id = await world.queue();
      const old = leaseOf(await take(id));
      await begin(old, 'one');
      await wait(old, 'one');
      await refused(old, write);
    });
  });
}
