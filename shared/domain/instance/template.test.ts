import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Image } from './instance.ts';
import { normaliseModules, templateKeyOf } from './template.ts';

const image: Image = {
  id: 'odoo-19',
  reference: 'odoo@sha256:0',
  odooVersion: '19.0',
  edition: 'community',
  addonsDigest: '',
  languages: ['en_US'],
};
const digestOf = (change: Partial<Image>, modules: string[] = [], language = 'en_US') =>
  templateKeyOf({ ...image, ...change }, modules, language).digest;

test('modules are sorted, once each, and base goes without saying', () => {
  expect(normaliseModules(['sale', 'base', 'crm', 'sale'])).toEqual(['crm', 'sale']);
  expect(normaliseModules([])).toEqual([]);
});

describe('the key of a template', () => {
  test('has the image, the modules and 12 digits', () => {
    expect(templateKeyOf(image, ['sale', 'base', 'crm'], 'de_DE')).toEqual({
      imageId: 'odoo-19',
      modules: ['crm', 'sale'],
      digest: expect.stringMatching(/^[0-9a-f]{12}$/),
    });
  });

  test('is the same in whatever order the modules are asked for', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/));
    fc.assert(
      fc.property(names, fc.array(fc.nat()), (modules, order) => {
        const shuffled = modules.toSorted((one, other) => (order[one.length] ?? 0) - (order[other.length] ?? 0));
        expect(digestOf({}, [...shuffled, 'base', ...modules])).toBe(digestOf({}, modules));
      }),
    );
  });

  test('is another for each thing a database is made of', () => {
    const digests = [
      digestOf({}),
      digestOf({ reference: 'odoo@sha256:1' }),
      digestOf({ odooVersion: '18.0' }),
      digestOf({ addonsDigest: 'a' }),
      digestOf({}, ['crm']),
      digestOf({}, ['crm', 'sale']),
      digestOf({}, ['crm_sale']),
      digestOf({}, [], 'de_DE'),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });

  test('does not change with what it does not depend on', () => {
    expect(digestOf({ id: 'other', languages: ['de_DE'] })).toBe(digestOf({}));
    // written down: another value here would make every template and warm database of before useless
    expect(digestOf({})).toBe('dd1e33f42ff0');
  });
});
