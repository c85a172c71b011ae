import { expect, test } from 'vitest';
import { benchNames, readOptions } from './options.ts';

test('without names all benches run, in their order', () => {
  expect(readOptions([])).toEqual({
    names: benchNames,
    json: false,
    strict: false,
    rounds: undefined,
    odoo: 'real',
  });
  expect(readOptions(['burst', 'event', '--rounds', '2'])).toMatchObject({ names: ['event', 'burst'], rounds: 2 });
});

test('what cannot be run is refused with what could', () => {
  expect(() => readOptions(['evnt'])).toThrow(
    'there are event, pool, status, provision, burst, reconcile, cache, kubernetes',
  );
  expect(() => readOptions(['--rounds', '0'])).toThrow('whole number');
  expect(() => readOptions(['--odoo', 'fake'])).toThrow('real or stand-in');
  expect(readOptions(['--help', 'evnt'])).toBe('help');
});
