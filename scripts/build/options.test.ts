import { expect, it } from 'vitest';
import { readOptions, usage } from './options.ts';

it('builds all functions, primed, into dist when nothing is said', () => {
  expect(readOptions([])).toEqual({ names: [], json: false, folder: undefined, isPrimed: true });
});

it('reads names and options in any order', () => {
  expect(readOptions(['--json', 'provision', '--no-prime', '--folder', 'out', 'billing'])).toEqual({
    names: ['provision', 'billing'],
    json: true,
    folder: 'out',
    isPrimed: false,
  });
});

it('refuses an option it does not know', () => {
  expect(() => readOptions(['--minify'])).toThrow(TypeError);
});

it('gives the help text, which names every option', () => {
  expect(readOptions(['--help'])).toBe('help');
  for (const option of ['--folder', '--no-prime', '--json']) expect(usage).toContain(option);
});
