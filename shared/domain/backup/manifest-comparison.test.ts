import { describe, expect, it } from 'vitest';
import type { DatabaseContents } from './manifest.ts';
import { databaseDifferences } from './manifest-comparison.ts';

const contents: DatabaseContents = {
  tables: [
    { name: 'public.ir_attachment', rows: 3 },
    { name: 'public.res_partner', rows: 1 },
  ],
  hashes: [{ table: 'public.res_partner', hash: '1.2' }],
  attachments: { count: 3, inFiles: 2, files: 2, hash: '3.4' },
  largeObjects: { count: 1, hash: '5.6' },
  schema: { indexes: 4, constraints: 5, sequences: 1, views: 0, functions: 1, triggers: 0 },
  extensions: [{ name: 'pg_trgm' }],
};
const manifest = { contents, odooVersion: '19.0.1.3', modules: [{ name: 'base', version: '19.0.1.3' }] };

function differencesWith(changed: Partial<DatabaseContents>): string[] {
  return databaseDifferences(manifest, { ...manifest, contents: { ...contents, ...changed } });
}

describe('the comparison of a restored database with its manifest', () => {
  it('finds nothing where all is equal', () => {
    expect(differencesWith({})).toEqual([]);
  });

  it('names tables that are missing, more, or of another number of rows', () => {
    const tables = [
      { name: 'public.ir_attachment', rows: 2 },
      { name: 'public.extra', rows: 0 },
    ];
    expect(differencesWith({ tables })).toEqual([
      'The table public.ir_attachment has 2 rows, the live database had 3 rows.',
      'The table public.res_partner is missing.',
      'The table public.extra is there and is not in the manifest.',
    ]);
  });

  it('sees other content behind equal numbers', () => {
    expect(differencesWith({ hashes: [{ table: 'public.res_partner', hash: '1.3' }] })[0]).toMatch(/content differs/);
    expect(differencesWith({ attachments: { ...contents.attachments, hash: '' } })[0]).toMatch(/other files/);
    expect(differencesWith({ largeObjects: { count: 1, hash: '' } })[0]).toMatch(/large objects differs/);
  });

  it('says how many attachments and large objects there are and were', () => {
    expect(differencesWith({ attachments: { count: 3, inFiles: 1, files: 1, hash: '' } })).toEqual([
      'There are 3 attachments, 1 of them in 1 files; there were 3, 2 of them in 2 files.',
    ]);
    expect(differencesWith({ largeObjects: { count: 0, hash: '' } })).toEqual([
      'There are 0 large objects, there were 1.',
    ]);
  });

  it('misses indexes, constraints and extensions that were not made again', () => {
    expect(differencesWith({ schema: { ...contents.schema, indexes: 3, constraints: 0 }, extensions: [] })).toEqual([
      'There are 3 indexes, there were 4.',
      'There are 0 constraints, there were 5.',
      'The extension pg_trgm is missing.',
    ]);
  });

  it("compares Odoo's version and its modules", () => {
    const restored = { contents, odooVersion: null, modules: [{ name: 'base', version: '18.0' }] };
    expect(databaseDifferences(manifest, restored)).toEqual([
      "Odoo's base says version none, in the manifest it is 19.0.1.3.",
      'The module base has version 18.0, in the manifest it is 19.0.1.3.',
    ]);
  });
});
