import { describe, expect, it } from 'vitest';
import { openTable, type Path, pickSplit } from './table.ts';

const to = (serviceName: string, more: Partial<Path> = {}): Path => ({
  splits: [{ serviceName, serviceNamespace: 'n', servicePort: 80, percent: 100 }],
  ...more,
});
const get = (url: string, headers: Record<string, string> = {}) => ({ url, headers });
const nameOf = (path: Path | undefined) => path?.splits[0]?.serviceName;

describe('openTable', () => {
  it('finds the path of a host, whatever the port', () => {
    const table = openTable();
    table.set('n/a', [{ hosts: ['a.test', 'a.n'], http: { paths: [to('a')] } }]);
    expect(nameOf(table.find('a.n:8080', get('/')))).toBe('a');
    expect(table.find('b.test', get('/'))).toBeUndefined();
  });

  it('prefers the path that asks for more headers, then the longer one', () => {
    const paths = [to('plain'), to('deep', { path: '/deep' }), to('tagged', { headers: { Tag: { exact: 'x' } } })];
    const table = openTable();
    table.set('n/a', [{ hosts: ['a'], http: { paths } }]);
    expect(nameOf(table.find('a', get('/deep/er')))).toBe('deep');
    expect(nameOf(table.find('a', get('/deep', { tag: 'x' })))).toBe('tagged');
    expect(nameOf(table.find('a', get('/', { tag: 'y' })))).toBe('plain');
  });

  it('forgets the hosts that an Ingress has no longer, and those of one that is gone', () => {
    const table = openTable();
    table.set('n/a', [{ hosts: ['old'], http: { paths: [to('a')] } }]);
    table.set('n/a', [{ hosts: ['new'], http: { paths: [to('a')] } }]);
    expect(table.find('old', get('/'))).toBeUndefined();
    table.remove('n/a');
    expect(table.find('new', get('/'))).toBeUndefined();
    expect(table.keys()).toEqual([]);
  });
});

it('picks each split as often as its percentage says', () => {
  const split = (serviceName: string, percent: number) => ({
    serviceName,
    serviceNamespace: 'n',
    servicePort: 80,
    percent,
  });
  const splits = [split('a', 90), split('b', 10)];
  expect([0, 0.5, 0.89, 0.91, 0.999].map((random) => pickSplit(splits, random)?.serviceName)).toEqual([
    'a',
    'a',
    'a',
    'b',
    'b',
  ]);
  expect(pickSplit([], 0.5)).toBeUndefined();
});
