import { describe, expect, test } from 'vitest';
import type { Ingress } from './objects.ts';
import { findRoute, hostName, routingTable } from './routing-table.ts';

const ingress = (name: string, host: string | undefined, paths: [string, string, string][], created = 1): Ingress => ({
  metadata: { name, creationTimestamp: `2026-01-01T00:00:0${created}Z` },
  spec: {
    rules: [
      {
        ...(host === undefined ? {} : { host }),
        http: {
          paths: paths.map(([path, pathType, service]) => ({
            path,
            pathType,
            backend: { service: { name: service } },
          })),
        },
      },
    ],
  },
});
const lookUp = (ingresses: Ingress[], host: string, path: string) => {
  const found = findRoute(routingTable(ingresses), host, path);
  return typeof found === 'string' ? found : found.backend.service?.name;
};

describe('a route', () => {
  const shop = ingress('shop', 'shop.localhost', [
    ['/', 'Prefix', 'web'],
    ['/websocket', 'Prefix', 'socket'],
    ['/websocket/health', 'Exact', 'health'],
    ['/websocket/health', 'Prefix', 'under-health'],
  ]);

  test.each([
    ['/', 'web'],
    ['/web/login', 'web'],
    ['/websocket', 'socket'],
    ['/websocket/', 'socket'],
    ['/websocket/x', 'socket'],
    ['/websockets', 'web'],
    ['/websocket/health', 'health'],
    ['/websocket/health/x', 'under-health'],
  ])('for %s is the longest that fits whole path elements: %s', (path, expected) => {
    expect(lookUp([shop], 'shop.localhost', path)).toBe(expected);
  });

  test('of an exact host comes before a wildcard, and that before none', () => {
    const all = [
      ingress('any', undefined, [['/long/path', 'Prefix', 'any']]),
      ingress('wild', '*.localhost', [['/', 'Prefix', 'wild']]),
      shop,
    ];
    expect(lookUp(all, 'shop.localhost', '/long/path')).toBe('web');
    expect(lookUp(all, 'other.localhost', '/long/path')).toBe('wild');
    expect(lookUp(all, 'a.b.localhost', '/long/path')).toBe('any');
    expect(lookUp(all, 'localhost', '/')).toBe('unknown-path');
  });

  test('that two Ingresses claim belongs to the older one', () => {
    const younger = ingress('a', 'x.localhost', [['/', 'Prefix', 'younger']], 2);
    const older = ingress('b', 'x.localhost', [['/', 'Prefix', 'older']], 1);
    expect(lookUp([younger, older], 'x.localhost', '/')).toBe('older');
  });

  test('is missing for an unknown host, and for a known host without a path that fits', () => {
    expect(lookUp([shop], 'nobody.localhost', '/')).toBe('unknown-host');
    const narrow = ingress('narrow', 'n.localhost', [['/only', 'Exact', 'only']]);
    expect(lookUp([narrow], 'n.localhost', '/other')).toBe('unknown-path');
  });
});

test.each([
  ['Shop.LOCALHOST:8080', 'shop.localhost'],
  ['shop.localhost.', 'shop.localhost'],
  ['[::1]:80', '[::1]'],
  [undefined, ''],
])('the host of %s is %s', (header, expected) => {
  expect(hostName(header)).toBe(expected);
});
