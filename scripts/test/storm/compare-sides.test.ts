import { expect, test } from 'vitest';
import { sidesOf } from './compare-sides.ts';
import type { ModelInstance } from './rules.ts';

const instance = 'abcdefghijkl';
const restore = (id: string, state = 'succeeded') => ({
  id,
  instance_id: instance,
  state,
  is_dropped: false,
  is_exchanged: true,
});

function sides(names: readonly string[], restores: readonly ReturnType<typeof restore>[], isPurged = false) {
  const made: ModelInstance = {
    ...{ desired: 'running', before: undefined, suspensions: new Set(), isMade: true, isPurged, isWithoutUndo: false },
    ...{ generation: 1, unfinished: [], failed: [], backups: { mayBe: true, isThere: true }, streams: new Map() },
  };
  const databases = names.map((name) => ({ name: name.replace('!', ''), isOpen: name.endsWith('!') }));
  return sidesOf({
    observed: {
      servers: [{ id: 'odoo-1', counted: 1, databases, roles: [] }],
      backups: { made: [], verifications: [], restores: [...restores], told: [], left: [] },
    },
    model: { instances: new Map([[instance, made]]) },
  });
}

test('what restores took out is kept, and one that failed has left nothing but what the tick takes away', () => {
  const names = ['odoo_abcdefghijkl', 'old_abcdefghijkl_00000001', 'load_abcdefghijkl_00000002_1'];
  expect(sides(names, [restore('x-00000001'), restore('x-00000002', 'failed')])).toEqual([]);
  expect(sides([], [restore('x-00000001')], true)).toEqual([]);
});

test('a side that is gone, open or of nobody is a violation, and so is what a restore that succeeded had loaded', () => {
  expect(sides([], [restore('x-00000001')])).toEqual(['old_abcdefghijkl_00000001 is on no server']);
  expect(sides(['old_abcdefghijkl_00000001!'], [restore('x-00000001')])).toEqual([
    'odoo-1: old_abcdefghijkl_00000001 is open',
  ]);
  expect(sides(['old_abcdefghijkl_00000001'], [restore('x-00000001', 'failed')])).toEqual([
    'odoo-1: old_abcdefghijkl_00000001 is kept for nobody',
  ]);
  expect(sides(['old_abcdefghijkl_00000001', 'load_abcdefghijkl_00000001_1'], [restore('x-00000001')])).toEqual([
    'odoo-1: load_abcdefghijkl_00000001_1 was left by a restore',
  ]);
});
