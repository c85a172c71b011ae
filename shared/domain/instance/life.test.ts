import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isMaking, type OperationKind, operationKinds } from '../operation/operation.ts';
import { queue, type UnfinishedOperation } from '../operation/queueing.ts';
import { type InstanceStatus, isMade, isWantedRunning, type SuspensionReason } from './instance.ts';
import { after, intentOf } from './intent.ts';
import { refuseOperation } from './operation-admission.ts';
import { type InstanceEvent, statusAfter } from './transitions.ts';

// The life of one instance as the pure decisions make it, without stores: requests are admitted or not, operations take
// their turns, end well or badly, are overtaken, and the cluster is observed at any time.

type Operation = UnfinishedOperation & {
  state: 'queued' | 'active';
  isOvertaken: boolean;
  /** Of the instance, at its first turn. */
  generation: number;
};

type World = {
  status: InstanceStatus;
  desiredState: 'running' | 'stopped' | 'terminated';
  desiredBefore: 'running' | 'stopped' | null;
  suspensions: readonly SuspensionReason[];
  generation: number;
  observedGeneration: number;
  isPastUndo: boolean;
  isPurged: boolean;
  /** Pods there are. */
  replicas: 0 | 1;
  queue: Operation[];
  made: number;
};

const causes = ['billing', 'abuse'] as const;

type Happening =
  | { what: 'ask'; kind: OperationKind; cause: SuspensionReason }
  | { what: 'turn' }
  | { what: 'apply' }
  | { what: 'succeed' }
  | { what: 'fail' | 'window-ends' }
  | { what: 'observe'; event: 'observed-available' | 'observed-unavailable' | 'observed-gone' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      what: fc.constant('ask' as const),
      kind: fc.constantFrom(...operationKinds.filter((kind) => !isMaking(kind))),
      cause: fc.constantFrom(...causes),
    }),
  },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('turn' as const) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('apply' as const) }) },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('succeed' as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('fail' as const, 'window-ends' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('observe' as const),
      event: fc.constantFrom('observed-available' as const, 'observed-unavailable' as const, 'observed-gone' as const),
    }),
  },
);

function move(world: World, event: InstanceEvent): void {
  world.status = statusAfter(world.status, event, world) ?? world.status;
}

function ask(world: World, kind: OperationKind, cause: SuspensionReason): void {
  const asked = { kind, cause: kind === 'suspend' || kind === 'resume' ? cause : null };
  const unfinished = world.queue.filter(({ isOvertaken }) => !isOvertaken);
  const queueing = queue(asked, unfinished);
  if (queueing.decision === 'coalesce') return;
  const refusal = refuseOperation(
    { ...asked, instanceId: 'x', billingRefusal: undefined, backupRefusal: undefined },
    {
      ...world,
      customerId: 'c',
      isBeingMade: unfinished.some((one) => isMaking(one.kind)),
      liveInstances: 0,
      quota: 1,
    },
  );
  if (refusal !== undefined || queueing.decision === 'refuse') return;
  const intent = intentOf(kind, world, asked.cause);
  Object.assign(world, after(world, intent));
  if (Object.keys(intent).length > 0) world.generation += 1;
  if (intent.tombstone !== undefined) world.isPastUndo = false;
  for (const { id } of queueing.overtakes) {
    const overtaken = world.queue.find((one) => one.id === id);
    if (overtaken !== undefined) overtaken.isOvertaken = true;
  }
  world.queue = world.queue.filter(({ isOvertaken, state }) => !(isOvertaken && state === 'queued'));
  world.made += 1;
  const rest = { state: 'queued', isOvertaken: false, hasBegun: false, generation: 0 } as const;
  world.queue.push({ id: `operation ${world.made}`, ...asked, ...rest });
}

function takeTurn(world: World): void {
  const first = world.queue[0];
  if (first === undefined || first.state === 'active') return;
  Object.assign(first, { state: 'active', hasBegun: true, generation: world.generation });
  if (!first.isOvertaken) begin(world, first);
}

/** With each lease: the row is read anew. */
function begin(world: World, { kind }: Operation): void {
  if (isMaking(kind)) move(world, world.status === 'error' ? 'provision-retried' : 'provision-started');
  else if (!isWithoutMoves(kind)) move(world, `${kind}-began`);
}

/** What each kind's steps are for: of another wish they do nothing. */
const isStillWanted: Readonly<Record<OperationKind, (world: World) => boolean>> = {
  provision: ({ desiredState }) => desiredState !== 'terminated',
  clone: ({ desiredState }) => desiredState !== 'terminated',
  import: ({ desiredState }) => desiredState !== 'terminated',
  restore: ({ desiredState }) => desiredState !== 'terminated',
  start: isWantedRunning,
  restart: isWantedRunning,
  stop: ({ desiredState }) => desiredState === 'stopped',
  suspend: ({ desiredState, suspensions }) => desiredState !== 'terminated' && suspensions.length > 0,
  resume: ({ desiredState }) => desiredState !== 'terminated',
  undo: ({ desiredState }) => desiredState !== 'terminated',
  terminate: ({ desiredState }) => desiredState === 'terminated',
  purge: ({ desiredState }) => desiredState === 'terminated',
  repair: () => true,
  backup: () => true,
  verify: () => true,
  export: () => true,
};

/** Kinds that leave the instance alone, or have only a move of the end. */
const leavesAloneKinds = ['backup', 'verify', 'export'] as const;
const leavesAlone = (kind: OperationKind): kind is (typeof leavesAloneKinds)[number] =>
  (leavesAloneKinds as readonly OperationKind[]).includes(kind);
const isWithoutMoves = (kind: OperationKind) => kind === 'purge' || kind === 'repair' || leavesAlone(kind);

/** The step that writes the Deployment, of the row as it is then. It may come long before the operation's end. */
function apply(world: World): void {
  const first = world.queue[0];
  if (first?.state !== 'active' || first.isOvertaken) return;
  begin(world, first);
  if (!isStillWanted[first.kind](world) || leavesAlone(first.kind)) return;
  if (!isMaking(first.kind) && !isMade(world) && world.desiredState !== 'terminated') return;
  world.replicas = isWantedRunning(world) ? 1 : 0;
}

function end(world: World, how: 'finished' | 'failed'): void {
  const first = world.queue[0];
  if (first?.state !== 'active') return;
  if (how === 'finished') {
    // Its last look at the Deployment; those that settle write it again.
    if (!isMaking(first.kind) || world.replicas === 0) apply(world);
  }
  world.queue.shift();
  if (first.isOvertaken || leavesAlone(first.kind)) return;
  if (how === 'failed') {
    if (isMaking(first.kind)) move(world, 'provision-failed');
    else if (!isWithoutMoves(first.kind)) move(world, `${first.kind}-failed`);
    return;
  }
  const isLast = first.generation === world.generation;
  if (isMaking(first.kind)) {
    if (isLast) move(world, 'provision-finished');
    world.observedGeneration = first.generation;
    return;
  }
  const isDone = isLast && isStillWanted[first.kind](world) && (isMade(world) || world.desiredState === 'terminated');
  if (!isDone) return;
  move(world, `${first.kind}-finished`);
  if (first.kind === 'purge') world.isPurged = true;
  if (isMade(world)) world.observedGeneration = world.generation;
}

function happen(world: World, one: Happening): void {
  if (one.what === 'ask') ask(world, one.kind, one.cause);
  else if (one.what === 'turn') takeTurn(world);
  else if (one.what === 'apply') apply(world);
  else if (one.what === 'succeed') end(world, 'finished');
  else if (one.what === 'fail') end(world, 'failed');
  else if (one.what === 'window-ends') world.isPastUndo = world.desiredState === 'terminated';
  else if (one.what === 'observe' && world.queue.length === 0) move(world, one.event);
}

function newWorld(): World {
  const provision: Operation = {
    id: 'operation 0',
    kind: 'provision',
    cause: null,
    state: 'queued',
    isOvertaken: false,
    hasBegun: false,
    generation: 0,
  };
  return {
    status: 'creating',
    desiredState: 'running',
    desiredBefore: null,
    suspensions: [],
    generation: 1,
    observedGeneration: 0,
    isPastUndo: false,
    isPurged: false,
    replicas: 0,
    queue: [provision],
    made: 0,
  };
}

/** What must hold after everything that can happen. */
function expectSound(before: World, world: World, one: Happening): void {
  expect(world.observedGeneration).toBeLessThanOrEqual(world.generation);
  expect(world.queue.filter(({ state }) => state === 'active').length).toBeLessThanOrEqual(1);
  // What does not run by its status has no pods, whatever failed or was overtaken before.
  if (['suspended', 'stopped', 'terminated'].includes(world.status)) expect(world.replicas).toBe(0);
  // A purged instance stays what it is.
  if (before.isPurged) expect(world.status).toBe('terminated');
  // Terminated never comes back but by an undo, which was accepted within the window.
  if (before.status === 'terminated' && world.status !== 'terminated') {
    expect(one.what).toBe('turn');
    expect(world.queue[0]?.kind).toBe('undo');
    expect(world.desiredState).not.toBe('terminated');
  }
  // Nothing comes to run that is not meant to.
  if (world.status === 'running' && before.status !== 'running') expect(isWantedRunning(world)).toBe(true);
  if (world.status === 'suspended' && before.status !== 'suspended') expect(world.suspensions).not.toEqual([]);
  // Once all is done, an instance is what is wanted of it: no suspended one runs, no running one is suspended.
  const isSettled = world.queue.length === 0 && world.generation === world.observedGeneration && isMade(world);
  if (isSettled && !['error', 'missing'].includes(world.status)) {
    const wanted = { running: 'running', stopped: 'stopped', terminated: 'terminated' }[world.desiredState];
    const isSuspended = world.desiredState !== 'terminated' && world.suspensions.length > 0;
    expect(world.status).toBe(isSuspended ? 'suspended' : wanted);
    expect(world.replicas).toBe(world.status === 'running' ? 1 : 0);
  }
}

test('a resume of one reason, after suspensions that failed, leaves nothing running for the other', () => {
  const world = newWorld();
  const life: readonly Happening[] = [
    { what: 'turn' },
    { what: 'succeed' },
    ...causes.flatMap((cause): Happening[] => [
      { what: 'ask', kind: 'suspend', cause },
      { what: 'turn' },
      { what: 'fail' },
    ]),
    { what: 'ask', kind: 'resume', cause: 'billing' },
    { what: 'turn' },
    { what: 'succeed' },
  ];
  for (const one of life) happen(world, one);
  expect(world).toMatchObject({ status: 'suspended', suspensions: ['abuse'], replicas: 0 });
});

test('in any life of 200 events nothing runs that must not, and terminated is the end but for an undo', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(happening, { minLength: 200, maxLength: 200 }), (life) => {
      const world = newWorld();
      for (const one of life) {
        const before = { ...world, queue: [...world.queue] };
        happen(world, one);
        expectSound(before, world, one);
        seen.add(world.status);
      }
    }),
    { numRuns: 500 },
  );
  // The property was tried on all of the table, not on a corner of it.
  expect([...seen].sort()).toEqual(
    expect.arrayContaining([
      'error',
      'maintenance',
      'missing',
      'restarting',
      'running',
      'stopped',
      'suspended',
      'terminated',
    ]),
  );
});
