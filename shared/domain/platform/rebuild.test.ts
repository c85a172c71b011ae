import { describe, expect, test } from 'vitest';
import { type Correction, entryFor, isSentAgain, type RecordedInstance, verdictOn } from './rebuild.ts';
import { type ClusterHoldings, type SeenInstance, seenInstances, unknownServers } from './world.ts';

const id = 'abcdefghijkl';
const row = (changes: Partial<RecordedInstance> = {}): RecordedInstance => ({
  id,
  desiredState: 'running',
  status: 'running',
  suspensions: [],
  host: 'shop.example.com',
  serverId: 'one',
  restartedBy: null,
  isMade: true,
  isPurged: false,
  terminatedAt: null,
  underWay: [],
  ...changes,
});
const cluster = (changes: Partial<ClusterHoldings> = {}): ClusterHoldings => ({
  fence: 4,
  deployment: { replicas: 1, restartedBy: null },
  ingress: { host: 'shop.example.com', suspendedFor: undefined },
  hasVolume: true,
  record: {
    customer: 'c1',
    name: 'shop',
    plan: 'small',
    image: 'odoo-19',
    language: 'en_US',
    login: 'owner@shop.example',
    modules: [],
    settings: {},
  },
  databaseServer: { host: '10.0.0.5', port: 5432 },
  ...changes,
});
const seen = (changes: Partial<SeenInstance> = {}): SeenInstance => ({
  id,
  fence: 4,
  liveOn: ['one'],
  asideOn: [],
  cluster: cluster(),
  ...changes,
});
const stopped = cluster({ deployment: { replicas: 0, restartedBy: null } });
const suspended = cluster({
  deployment: { replicas: 0, restartedBy: null },
  ingress: { host: 'shop.example.com', suspendedFor: 'billing' },
});
const gone = cluster({ deployment: undefined, ingress: undefined });
const ended = { desiredState: 'terminated', status: 'terminated', host: null } as const;
const noFinal = { hasFinalBackup: false };

function changesOf(...args: Parameters<typeof verdictOn>): Omit<Correction, 'why' | 'instanceId'> | string | undefined {
  const { correction, report } = verdictOn(...args);
  if (correction === undefined) return report;
  const { why: _why, instanceId: _id, ...changes } = correction;
  return changes;
}

describe('what became of an instance', () => {
  test.each<[string, RecordedInstance, SeenInstance | undefined, ReturnType<typeof changesOf>]>([
    ['nothing', row(), seen(), undefined],
    ['stopped', row(), seen({ cluster: stopped }), { desiredState: 'stopped', status: 'stopped' }],
    ['started', row({ desiredState: 'stopped' }), seen(), { desiredState: 'running', status: 'running' }],
    ['suspended', row(), seen({ cluster: suspended }), { opens: 'billing', status: 'suspended' }],
    [
      'suspended while it was stopped',
      row({ desiredState: 'stopped' }),
      seen({ cluster: suspended }),
      { opens: 'billing', status: 'suspended' },
    ],
    ['resumed', row({ suspensions: ['abuse'] }), seen(), { closesSuspensions: true, status: 'running' }],
    [
      'resumed, and stopped',
      row({ suspensions: ['billing'] }),
      seen({ cluster: stopped }),
      { closesSuspensions: true, desiredState: 'stopped', status: 'stopped' },
    ],
    [
      'terminated',
      row({ suspensions: ['billing'] }),
      seen({ liveOn: [], asideOn: ['one'], cluster: gone }),
      { ...ended, tombstone: 'set', closesSuspensions: true },
    ],
    ['still terminated', row({ ...ended }), seen({ liveOn: [], asideOn: ['one'], cluster: gone }), undefined],
    [
      'brought back',
      row({ ...ended }),
      seen(),
      { tombstone: 'lifted', desiredState: 'running', status: 'running', host: 'shop.example.com' },
    ],
    [
      'restarted',
      row(),
      seen({ cluster: cluster({ deployment: { replicas: 1, restartedBy: 'r2' } }) }),
      { restartedBy: 'r2', status: 'running' },
    ],
    ['being made', row({ isMade: false, status: 'creating', underWay: ['provision'] }), seen(), undefined],
    [
      'being made, and placed since',
      row({ isMade: false, serverId: null, underWay: ['provision'] }),
      seen(),
      { serverId: 'one' },
    ],
    ['being made still', row({ isMade: false, underWay: ['provision'] }), undefined, undefined],
    [
      'made, and terminated',
      row({ isMade: false, underWay: ['provision'] }),
      seen({ liveOn: [], asideOn: ['one'], cluster: gone }),
      { ...ended, tombstone: 'set', closesSuspensions: true },
    ],
    [
      'at work on its backup, and stopped',
      row({ underWay: ['backup'] }),
      seen({ cluster: stopped }),
      { desiredState: 'stopped', status: 'stopped' },
    ],
  ])('%s', (_what, recorded, found, expected) => {
    expect(changesOf(recorded, found, noFinal)).toEqual(expected);
  });

  test('a purge is believed where a final backup is in the store, and nothing else is there', () => {
    const nothing = seen({ liveOn: [], cluster: undefined });
    const final = { hasFinalBackup: true };
    const purged = { status: 'terminated', host: null, closesSuspensions: true, isPurged: true };
    expect(changesOf(row({ ...ended }), nothing, final)).toEqual(purged);
    expect(changesOf(row(), nothing, final)).toEqual({ ...purged, desiredState: 'terminated', tombstone: 'set' });
    expect(changesOf(row({ ...ended }), undefined, noFinal)).toMatch(/may have been purged without a final backup/);
    expect(changesOf(row({ ...ended }), seen({ liveOn: [] }), final)).toMatch(/has no database on any server/);
  });

  test.each([
    ['a database that is gone', row(), seen({ liveOn: [] }), /has no database on any server/],
    ['a database that is there twice', row(), seen({ asideOn: ['one'] }), /has several databases/],
    ['a database elsewhere', row(), seen({ liveOn: ['two'] }), /is on server two, its row says one/],
    ['a purged one that has a database', row({ isPurged: true }), seen(), /was purged, and has a database on one/],
    ['a copy that was being made', row({ isMade: false, underWay: ['clone'] }), seen(), /was being made \(clone\)/],
    ['objects that are missing', row(), seen({ cluster: gone }), /not all of its objects/],
    [
      'an intent that goes on',
      row({ underWay: ['suspend'] }),
      seen({ cluster: stopped }),
      /had suspend under way, which goes on/,
    ],
    [
      'a restore that has taken the pods down',
      row({ underWay: ['restore'] }),
      seen({ cluster: stopped }),
      /had restore under way, which goes on/,
    ],
  ] as const)('%s is left to a person', (_what, recorded, found, expected) => {
    expect(changesOf(recorded, found, noFinal)).toMatch(expected);
  });
});

describe('an instance without a row', () => {
  test('is entered again from what its volume claim carries', () => {
    expect(entryFor(seen()).entry).toMatchObject({ serverId: 'one', status: 'running', desiredState: 'running' });
    expect(entryFor(seen({ cluster: suspended })).entry).toMatchObject({
      status: 'suspended',
      suspendedFor: 'billing',
    });
    expect(entryFor(seen({ cluster: stopped })).entry).toMatchObject({ status: 'stopped', desiredState: 'stopped' });
    const tombstone = seen({ liveOn: [], asideOn: ['one'], cluster: gone });
    expect(entryFor(tombstone).entry).toMatchObject({ isTerminated: true, host: null, status: 'terminated' });
  });

  test.each([
    ['nobody says whose it is', seen({ cluster: cluster({ record: undefined }) }), /nothing says whose it is/],
    ['it is there twice', seen({ liveOn: ['one', 'two'] }), /It has a database on one, two/],
    ['it has no database', seen({ liveOn: [] }), /no row, and no database/],
    ['its making was not finished', seen({ cluster: gone }), /its making was not finished/],
  ] as const)('is reported where %s', (_what, found, expected) => {
    expect(entryFor(found)).toEqual({ report: expect.stringMatching(expected) });
  });

  test('of which only fences are left is nothing to speak of', () => {
    expect(entryFor(seen({ liveOn: [], cluster: undefined }))).toEqual({});
  });
});

test('the highest fence of all places counts', () => {
  const server = (serverId: string, n: number, live: string[]) => ({
    serverId,
    fences: new Map([[id, n]]),
    live: new Set(live),
    aside: new Set<string>(),
    oldSides: [],
  });
  const all = seenInstances(new Map([[id, cluster({ fence: 7 })]]), [server('one', 9, [id]), server('two', 3, [])]);
  expect(all.get(id)).toMatchObject({ fence: 9, liveOn: ['one'], asideOn: [] });
});

test('of events that waited, hints and commands about to go out are not sent again', () => {
  const snapshotAt = new Date('2026-11-22T06:00:00Z');
  const is = (type: string, secondsBefore: number) =>
    isSentAgain({ type, createdAt: new Date(snapshotAt.getTime() - secondsBefore * 1_000) }, snapshotAt);
  expect(is('dev.odoofleet.operation.advance', 900)).toBe(false);
  expect(is('dev.odoofleet.instance.suspend.requested', 5)).toBe(false);
  // it was stuck: nobody has it
  expect(is('dev.odoofleet.instance.suspend.requested', 900)).toBe(true);
  expect(is('dev.odoofleet.instance.suspend.succeeded', 5)).toBe(true);
});

test('a database server that odoo.conf names and no row has is told with the instances on it', () => {
  const world = new Map([
    ['b', cluster({ databaseServer: { host: '10.0.0.6', port: 5432 } })],
    ['a', cluster({ databaseServer: { host: '10.0.0.6', port: 5432 } })],
    ['c', cluster()],
    ['d', cluster({ databaseServer: undefined })],
    ['e', cluster({ databaseServer: { host: '10.0.0.5', port: 5433 } })],
  ]);
  expect([...unknownServers(world, [{ host: '10.0.0.5', port: 5432 }])]).toEqual([
    ['10.0.0.6:5432', ['a', 'b']],
    ['10.0.0.5:5433', ['e']],
  ]);
});
