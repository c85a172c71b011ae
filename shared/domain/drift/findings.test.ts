import { describe, expect, test } from 'vitest';
import { exampleInstance } from '#shared/testing/examples.ts';
import { findingsOfInstance, merged, orphansOf, type ShardSurveys } from './findings.ts';
import { type FleetFacts, findingsOfFleet } from './fleet.ts';
import { type DriftKind, driftKinds, driftPolicies, repairedKinds, ruleOf } from './policy.ts';
import type { Drift, Orphan, Survey } from './ports.ts';

const survey = (found: { drifts?: Drift[]; orphans?: Orphan[] }): Survey => ({
  driftOf: () => found.drifts ?? [],
  orphans: (known) => (found.orphans ?? []).filter(({ instanceId }) => instanceId === null || !known.has(instanceId)),
});
const missing: Drift = { kind: 'deployment-missing', detail: 'Deployment odoo-abcdefgh2345' };
const open: Drift = { kind: 'database-open-to-public', detail: 'CONNECT' };
const surveys = (change: Partial<ShardSurveys> = {}): ShardSurveys => ({
  cluster: survey({ drifts: [missing] }),
  servers: new Map([['one', survey({ drifts: [open] })]]),
  ...change,
});
const made = exampleInstance({ observedGeneration: 1, status: 'running' });
const look = (facts: Partial<Parameters<typeof findingsOfInstance>[0]> = {}, found = surveys()) =>
  findingsOfInstance({ instance: made, isMoving: false, isPurged: false, ...facts }, found, { clusterId: 'default' });

describe('an instance', () => {
  test('is told of with where each thing was seen', () => {
    expect(look()).toEqual([
      { ...missing, subject: made.id, instanceId: made.id, place: 'cluster' },
      { ...open, subject: made.id, instanceId: made.id, place: 'server one' },
    ]);
  });

  test.each([
    ['an operation is at work on', { isMoving: true }],
    ['is purged', { isPurged: true }],
    ['was never brought about', { instance: { ...made, observedGeneration: 0 } }],
  ])('that %s is left alone', (_what, facts) => {
    expect(look(facts)).toEqual([]);
  });

  test('is compared only with what could be read, and with its own cluster and server', () => {
    expect(look({}, surveys({ cluster: undefined })).map(({ kind }) => kind)).toEqual(['database-open-to-public']);
    expect(look({}, surveys({ servers: new Map() })).map(({ kind }) => kind)).toEqual(['deployment-missing']);
    expect(look({ instance: { ...made, clusterId: 'other', databaseServer: null } })).toEqual([]);
  });
});

describe('an orphan', () => {
  const database = (id: string): Orphan => ({
    kind: 'orphan-database',
    name: `database odoo_${id}`,
    instanceId: id,
    detail: 'no record',
    quarantine: async () => {},
  });
  const found = surveys({
    cluster: survey({ orphans: [{ kind: 'orphan-object', name: 'Deployment x', instanceId: 'gone', detail: '' }] }),
    servers: new Map([
      ['one', survey({ orphans: [database('mine'), database('lost')] })],
      ['two', survey({ orphans: [database('mine')] })],
    ]),
  });

  test('is what no record knows, named with its place', () => {
    const all = orphansOf(found, [{ id: 'mine', serverId: 'one' }]).map(({ finding }) => finding);
    expect(all.map(({ kind, subject }) => [kind, subject])).toEqual([
      ['orphan-object', 'Deployment x'],
      ['orphan-database', 'database odoo_lost on server one'],
      ['database-elsewhere', 'database odoo_mine on server two'],
    ]);
  });

  test('that is a known instance’s database on another server is never put aside', () => {
    const [elsewhere] = orphansOf(found, [{ id: 'mine', serverId: 'one' }]).slice(-1);
    expect(elsewhere?.orphan.quarantine).toBeUndefined();
    expect(ruleOf('database-elsewhere')?.policy).toBe('report');
  });
});

test('two things of one kind about one instance are one finding, in one order', () => {
  const one = { kind: 'deployment-missing', subject: 'a', instanceId: 'a', place: 'cluster', detail: 'web' } as const;
  const other = { ...one, detail: 'cron' };
  expect(merged([one, other])).toEqual(merged([other, one]));
  expect(merged([one, other])).toEqual([{ ...one, detail: 'cron; web' }]);
});

describe('the fleet', () => {
  const quiet: FleetFacts = {
    counts: [],
    operations: [],
    purgeDue: [],
    warmShortages: [],
    isOutboxWaiting: false,
    areDeadEventsWaiting: false,
    unreadable: [],
  };
  const operation = { id: 'o-1', instanceId: 'abcdefgh2345', kind: 'stop', isOverdue: false } as const;
  test.each<[DriftKind, Partial<FleetFacts>, string]>([
    ['server-count-wrong', { counts: [{ serverId: 'one', count: 3, rows: 2, maxInstances: 9 }] }, 'server one'],
    ['operation-stuck', { operations: [operation] }, 'operation o-1'],
    ['operation-overdue', { operations: [{ ...operation, isOverdue: true }] }, 'operation o-1'],
    ['purge-due', { purgeDue: ['abcdefgh2345'] }, 'abcdefgh2345'],
    ['warm-pool-low', { warmShortages: [{ serverId: 'one', digest: 'd', reason: 'few' }] }, 'template d on server one'],
    ['outbox-waiting', { isOutboxWaiting: true }, 'outbox'],
    ['dead-events-waiting', { areDeadEventsWaiting: true }, 'dead events'],
    ['place-unreadable', { unreadable: ['cluster'] }, 'cluster'],
  ])('tells of %s', (kind, facts, subject) => {
    expect(findingsOfFleet({ ...quiet, ...facts })).toMatchObject([{ kind, subject }]);
  });

  test('with nothing amiss tells nothing', () => {
    expect(findingsOfFleet(quiet)).toEqual([]);
  });
});

describe('the policies', () => {
  test('say of every kind what it is and what a person does', () => {
    for (const kind of driftKinds) {
      const { what, toDo } = driftPolicies[kind];
      expect(what, kind).toMatch(/\.$/);
      expect(toDo, kind).toMatch(/\.$/);
      // an event carries it
      expect(kind).toMatch(/^[a-z]([a-z-]{0,38}[a-z])?$/);
    }
  });

  test('never make data anew, and never put anything but orphans out of use', () => {
    for (const kind of ['database-missing', 'volume-missing', 'credentials-missing', 'database-doubled'] as const) {
      expect(driftPolicies[kind]).toMatchObject({ policy: 'report', severity: 'alarm' });
      expect(repairedKinds).not.toContain(kind);
    }
    const quarantined = driftKinds.filter((kind) => driftPolicies[kind].policy === 'quarantine');
    expect(quarantined.filter((kind) => !kind.startsWith('orphan-'))).toEqual([]);
  });

  test('name no kind of the future', () => {
    expect(ruleOf('toString')).toBeUndefined();
  });
});
