import { describe, expect, it } from 'vitest';
import { callerAddress, networksOf } from './caller-address.ts';

const networks = networksOf('10.0.0.0/8, fd00::/8');
const peer = '172.16.0.9';

describe('who asks', () => {
  it.each([
    ['whom the last proxy was asked by', '6.6.6.6, 192.0.2.1', { hops: 1 }, '192.0.2.1'],
    ['whom the first of two was asked by', '6.6.6.6, 192.0.2.1, 198.51.100.7', { hops: 2 }, '192.0.2.1'],
    ['the one who is named at all, before proxies too many', '192.0.2.1', { hops: 3 }, '192.0.2.1'],
    ['whoever connects, without proxies', '6.6.6.6', { hops: 0 }, peer],
    ['whoever connects, where nobody is named', undefined, { hops: 1 }, peer],
    ['whoever connects, where an empty name is', '', { hops: 1 }, peer],
    ['whoever connects, where a name is none', '192.0.2.1, <script>', { hops: 1 }, peer],
    ['the nearest that is an address', 'unknown, 192.0.2.1', { hops: 3 }, '192.0.2.1'],
    ['before proxies that come and go', '6.6.6.6, 192.0.2.1, 10.1.2.3', { hops: 1, networks }, '192.0.2.1'],
    ['before more of them', '6.6.6.6, 192.0.2.1, 10.1.2.3, fd00::7', { hops: 1, networks }, '192.0.2.1'],
    ['before none of them', '6.6.6.6, 192.0.2.1', { hops: 1, networks }, '192.0.2.1'],
    ['one of them himself', '10.9.9.9, 10.1.2.3', { hops: 1, networks }, '10.9.9.9'],
    ['an IPv4 address in the clothes of IPv6', '6.6.6.6, ::ffff:192.0.2.1', { hops: 1, networks }, '192.0.2.1'],
    ['an IPv6 address', '6.6.6.6, 2001:db8::1', { hops: 1, networks }, '2001:db8::1'],
  ] as const)('is %s', (_what, forwardedFor, proxies, expected) => {
    expect(callerAddress({ forwardedFor, peer }, proxies)).toBe(expected);
  });

  it('is nobody else, whatever he writes before what the proxy adds', () => {
    const claims = ['1.1.1.1', '1.1.1.1, 2.2.2.2', '10.1.2.3', ',,,', '::1', 'x'.repeat(5_000), '\u0000'];
    for (const claim of claims)
      expect(callerAddress({ forwardedFor: `${claim}, 192.0.2.1`, peer }, { hops: 1, networks })).toBe('192.0.2.1');
  });
});

it.each(['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0/8', 'here', '', '10.0.0.0/8,'])(
  'the networks "%s" are none',
  (text) => expect(networksOf(text)).toBeUndefined(),
);
