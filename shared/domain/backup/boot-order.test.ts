import { expect, test } from 'vitest';
import { bootCounts, isBootWanted } from './boot-order.ts';

const facts = {
  backup: { id: '', kind: 'scheduled' },
  asked: undefined,
  percent: 25,
  manifest: { odooVersion: '19.0.1.3', imageId: 'odoo-19' },
  image: { id: 'odoo-19' },
};

test('the sample is a quarter of the backups, and the same ones every time', () => {
  const ids = Array.from({ length: 4_000 }, (_, index) => `01936f2e-8b5a-7c3d-9e4f-${String(index).padStart(12, '0')}`);
  const chosen = (percent: number) =>
    ids.filter((id) => isBootWanted({ ...facts, percent, backup: { id, kind: 'manual' } }));
  expect(chosen(25).length / ids.length).toBeCloseTo(0.25, 1);
  expect(chosen(25)).toEqual(chosen(25));
  expect(chosen(0)).toEqual([]);
  expect(chosen(100)).toEqual(ids);
});

test('a sample of more percent holds that of fewer', () => {
  const ids = Array.from({ length: 500 }, (_, index) => `backup ${index}`);
  const fewer = ids.filter((id) => isBootWanted({ ...facts, backup: { id, kind: 'manual' }, percent: 10 }));
  expect(fewer).not.toEqual([]);
  for (const id of fewer) expect(isBootWanted({ ...facts, backup: { id, kind: 'manual' }, percent: 30 })).toBe(true);
});

test('Odoo is asked for the models whose tables the manifest counted', () => {
  const table = (name: string, rows: number) => ({ name, rows });
  const tables = [table('public.account_move', 9), table('public.res_partner', 5), table('other.sale_order', 1)];
  expect(bootCounts({ contents: { tables } } as unknown as Parameters<typeof bootCounts>[0])).toEqual([
    { model: 'res.partner', rows: 5 },
    { model: 'account.move', rows: 9 },
  ]);
});
