import { expect, test } from 'vitest';
import { type AuditEntry, type KnownEvent, runModel } from './model.ts';
import { sources } from './plan.ts';

const id = 'abcdefghijkl';
type Told = [
  action: string,
  options?: { event?: string; operation?: string; code?: string; result?: string; by?: string },
];

/** An audit of these entries; an event is named after its request. */
function audit(...told: Told[]): AuditEntry[] {
  return told.map(([action, { event, operation, ...detail } = {}], index) => ({
    sequence: index + 1,
    atMs: index * 60_000,
    action,
    instanceId: id,
    operationId: operation ?? null,
    detail: { ...detail, ...(event === undefined ? {} : { event }) },
  }));
}

function known(change: Partial<KnownEvent> = {}): KnownEvent {
  return { source: sources.operator, instance: id, cause: null, sequence: undefined, news: undefined, ...change };
}

const events = new Map<string, KnownEvent>([
  ['provision', known({ source: sources.seller })],
  ...['stop', 'start', 'restart', 'terminate', 'undo', 'stop2', 'terminate2', 'restore', 'restore2'].map(
    (event) => [event, known()] as const,
  ),
  ['suspend', known({ cause: 'abuse', sequence: 2 })],
  ['resume', known({ cause: 'abuse', sequence: 1 })],
  ['overdue', known({ source: sources.billing, news: 'overdue' })],
]);
const made: Told[] = [
  ['provision.requested', { event: 'provision', operation: 'o-0' }],
  ['provision.succeeded', { operation: 'o-0', result: 'done' }],
];
const run = (...told: Told[]) => runModel({ audit: audit(...made, ...told), events, withoutUndo: new Set() });

test('requests change what is wanted in the order in which they were accepted', () => {
  const { instances, disagreements } = run(
    ['stop.requested', { event: 'stop', operation: 'o-1' }],
    ['stop.succeeded', { operation: 'o-1' }],
    ['terminate.requested', { event: 'terminate', operation: 'o-2' }],
    ['terminate.succeeded', { operation: 'o-2' }],
    ['undo.requested', { event: 'undo', operation: 'o-3' }],
    ['undo.succeeded', { operation: 'o-3' }],
  );
  expect(disagreements).toEqual([]);
  expect(instances.get(id)).toMatchObject({ desired: 'stopped', generation: 4, isMade: true, unfinished: [] });
});

test('a later operation overtakes an unfinished one, and coalesces with one of its kind', () => {
  const { counted, disagreements, instances } = run(
    ['restart.requested', { event: 'restart', operation: 'o-1' }],
    ['stop.requested', { event: 'stop', operation: 'o-2' }],
    ['stop.coalesced', { event: 'stop2', operation: 'o-2' }],
  );
  expect(disagreements).toEqual([]);
  expect(counted).toMatchObject({ overtaken: 1, coalesced: 1 });
  expect(instances.get(id)?.unfinished.map(({ kind }) => kind)).toEqual(['stop']);
});

test.each<[string, Told[], string]>([
  [
    'a start of what is suspended',
    [
      ['suspend.requested', { event: 'suspend', operation: 'o-1' }],
      ['start.requested', { event: 'start', operation: 'o-2' }],
    ],
    'refused: suspended',
  ],
  [
    'a resume that came before the suspend',
    [
      ['suspend.requested', { event: 'suspend', operation: 'o-1' }],
      ['resume.requested', { event: 'resume', operation: 'o-2' }],
    ],
    'refused: superseded',
  ],
  [
    'a start of what is terminated',
    [
      ['terminate.requested', { event: 'terminate', operation: 'o-1' }],
      ['start.requested', { event: 'start', operation: 'o-2' }],
    ],
    'refused: terminated',
  ],
  [
    'a start of who does not pay',
    [
      ['billing.applied', { event: 'overdue' }],
      ['start.requested', { event: 'start', operation: 'o-1' }],
    ],
    'refused: not-allowed',
  ],
  [
    'a restore beside another',
    [
      ['restore.requested', { event: 'restore', operation: 'o-1' }],
      ['restore.requested', { event: 'restore2', operation: 'o-2' }],
    ],
    'refused: not-allowed',
  ],
  [
    'a restore of what is terminated',
    [
      ['terminate.requested', { event: 'terminate', operation: 'o-1' }],
      ['terminate.succeeded', { operation: 'o-1' }],
      ['restore.requested', { event: 'restore', operation: 'o-2' }],
    ],
    'refused: terminated',
  ],
  ['a refusal without a reason', [['stop.refused', { event: 'stop', code: 'not-allowed' }]], 'requested'],
])('%s is a disagreement when the platform says otherwise', (_, told, wanted) => {
  const { disagreements } = run(...told);
  expect(disagreements).toHaveLength(1);
  expect(disagreements[0]).toContain(`the model says ${wanted}`);
});

test('a second termination overtakes an undo that waits for the first, and does not join the first', () => {
  const { disagreements, instances } = run(
    ['terminate.requested', { event: 'terminate', operation: 'o-1' }],
    ['undo.requested', { event: 'undo', operation: 'o-2' }],
    ['undo.overtaken', { operation: 'o-2', by: 'terminate' }],
    ['terminate.requested', { event: 'terminate2', operation: 'o-3' }],
  );
  expect(disagreements).toEqual([]);
  expect(instances.get(id)?.unfinished.map((one) => one.id)).toEqual(['o-1', 'o-3']);
});

test('a termination overtakes a restore, and one whose making it overtook has nothing to be brought back', () => {
  const restored = run(
    ['restore.requested', { event: 'restore', operation: 'o-1' }],
    ['restore.overtaken', { operation: 'o-1', by: 'terminate' }],
    ['terminate.requested', { event: 'terminate', operation: 'o-2' }],
  );
  expect(restored.disagreements).toEqual([]);
  expect(restored.instances.get(id)?.unfinished.map((one) => one.id)).toEqual(['o-2']);
  const told = audit(
    ['provision.requested', { event: 'provision', operation: 'o-0' }],
    ['provision.overtaken', { operation: 'o-0', by: 'terminate' }],
    ['terminate.requested', { event: 'terminate', operation: 'o-1' }],
    ['terminate.succeeded', { operation: 'o-1' }],
    ['undo.refused', { event: 'undo', code: 'not-allowed' }],
  );
  expect(runModel({ audit: told, events, withoutUndo: new Set() }).disagreements).toEqual([]);
});

test('an entry about an event that nobody sent is a disagreement', () => {
  expect(run(['stop.requested', { event: 'unheard-of', operation: 'o-1' }]).disagreements).toHaveLength(1);
});
