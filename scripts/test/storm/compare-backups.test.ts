import { expect, test } from 'vitest';
import { backupsOf } from './compare-backups.ts';
import type { Observed, OperationRow } from './observe.ts';

const operation = (id: string, kind: string, state: string): OperationRow => ({
  ...{ id, kind, state, instance_id: 'abcdefghijkl', step: null, waiting_for: null, overdue: null },
  ...{ error_code: null, error_text: null },
});
const told = (id: string, kind: string, end: string) => ({
  operation: id,
  type: `dev.odoofleet.instance.${kind}.${end}`,
});
const backup = (id: string, state: string) => ({
  ...{ id, instance_id: 'abcdefghijkl', kind: 'manual', state },
  ...{ proof: 'none', proof_text: null, manifest: undefined },
});

type Change = Partial<Observed['backups']> & { operations?: OperationRow[] };

/** A backup that succeeded, one that failed, and a verification. */
const world = ({ operations, ...change }: Change = {}) =>
  backupsOf({
    operations: operations ?? [
      operation('b-1', 'backup', 'succeeded'),
      operation('b-2', 'backup', 'failed'),
      operation('v-1', 'verify', 'succeeded'),
      operation('b-3', 'backup', 'cancelled'),
    ],
    backups: {
      made: [backup('b-1', 'succeeded'), backup('b-2', 'failed'), backup('b-3', 'failed')],
      verifications: [{ id: 'v-1', state: 'proven' }],
      told: [told('b-1', 'backup', 'succeeded'), told('b-2', 'backup', 'failed'), told('v-1', 'verify', 'succeeded')],
      restores: [],
      left: [],
      ...change,
    },
  });

test('backups that have come to an end that was told are well', () => {
  expect(world()).toEqual([]);
});

test('a restore that was overtaken is well when its row says whether the sides were exchanged', () => {
  const overtaken = (state: string, is_exchanged: boolean) => ({
    operations: [operation('r-1', 'restore', 'cancelled')],
    restores: [{ id: 'r-1', instance_id: 'abcdefghijkl', state, is_dropped: false, is_exchanged }],
  });
  expect(world(overtaken('failed', false))).toEqual([]);
  expect(world(overtaken('succeeded', true))).toEqual([]);
  expect(world(overtaken('failed', true))).toEqual(['restore r-1 is failed, and exchanged']);
  expect(world(overtaken('succeeded', false))).toEqual(['restore r-1 is succeeded, and not exchanged']);
  expect(world(overtaken('switched', false))).toEqual(['r-1 is still running']);
});

test.each<[string, Change, string]>([
  ['a lost row', { made: [backup('b-2', 'failed')] }, 'backup b-1 succeeded and its row is gone'],
  ['a row that runs', { made: [backup('b-1', 'succeeded'), backup('b-2', 'running')] }, 'b-2 is still running'],
  [
    'a manifest that is gone',
    { made: [{ ...backup('b-1', 'succeeded'), manifest: 'is gone' }] },
    'backup b-1: its manifest is gone',
  ],
  [
    'a refuted one',
    { made: [{ ...backup('b-1', 'succeeded'), proof: 'refuted', proof_text: 'x' }] },
    'backup b-1 is refuted: x',
  ],
  ['a verdict nobody wrote', { verifications: [] }, 'verify v-1 succeeded and its row is gone'],
  [
    'an end that was not told',
    { told: [told('b-1', 'backup', 'succeeded')] },
    'backup b-2 is failed, and told was: nothing',
  ],
  [
    'an end that was told twice',
    {
      operations: [operation('b-1', 'backup', 'succeeded')],
      told: [told('b-1', 'backup', 'succeeded'), told('b-1', 'backup', 'failed')],
    },
    'backup b-1 is succeeded, and told was: succeeded,failed',
  ],
  [
    'a restore whose row says otherwise',
    {
      operations: [operation('r-1', 'restore', 'succeeded')],
      restores: [{ id: 'r-1', instance_id: 'abcdefghijkl', state: 'failed', is_dropped: false, is_exchanged: false }],
    },
    'restore r-1 is succeeded, and its row says otherwise',
  ],
  [
    'a restore that stopped between database and files',
    {
      restores: [{ id: 'r-1', instance_id: 'abcdefghijkl', state: 'switched', is_dropped: false, is_exchanged: false }],
    },
    'r-1 is still running',
  ],
  ['what a verification left', { left: ['verify_x'] }, 'verify_x was left by a verification'],
])('%s is a violation', (_, change, wanted) => {
  expect(world(change)).toContain(wanted);
});
