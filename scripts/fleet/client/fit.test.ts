import { describe, expect, it } from 'vitest';
import { fitted, fittedFacts } from './fit.ts';

const rows = [
  ['INSTANCE', 'NAME', 'FOR', 'URL'],
  ['abcdefgh2345', 'acme', '-', 'https://acme.odoo.example'],
  ['bbbbbbbb2345', 'a-much-longer-name', '-', 'https://b.odoo.example'],
];

describe('a table', () => {
  it('is whole where it fits, and where nobody knows how wide it may be', () => {
    expect(fitted(rows, undefined)).toEqual(fitted(rows, 200));
    expect(fitted(rows, 200)[0]).toMatch(/FOR/);
  });

  it('loses what says nothing first', () => {
    const [heads] = fitted(rows, 62);
    expect(heads).toBe('INSTANCE      NAME                URL');
  });

  it('goes on in further lines, and loses nothing that is said', () => {
    expect(fitted(rows, 40)).toEqual([
      'INSTANCE      NAME',
      '  URL',
      'abcdefgh2345  acme',
      '  https://acme.odoo.example',
      'bbbbbbbb2345  a-much-longer-name',
      '  https://b.odoo.example',
    ]);
  });

  it.each([20, 30, 40, 60])('has no line wider than %i but for one cell that is', (width) => {
    const cells = rows.flat();
    for (const line of fitted(rows, width)) {
      expect(line.length <= width || cells.includes(line.trim())).toBe(true);
    }
  });
});

it('a fact that does not fit beside its name is below it', () => {
  expect(
    fittedFacts(
      [
        ['id', 'a'],
        ['record.value', 'odoo-fleet=abcdefghijkl'],
      ],
      30,
    ),
  ).toEqual(['id            a', 'record.value', '  odoo-fleet=abcdefghijkl']);
});
