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
    ['the same written in hexadecimal', '6.6.6.6, ::FFFF:C000:0201', { hops: 1, networks }, '192.0.2.1'],
    ['the same translated by NAT64', '6.6.6.6, 64:ff9b::192.0.2.1', { hops: 1, networks }, '192.0.2.1'],
    ['before a proxy in such clothes', '6.6.6.6, 192.0.2.1, ::ffff:a01:203', { hops: 1, networks }, '192.0.2.1'],
    ['the /64 of an IPv6 address', '6.6.6.6, 2001:db8::1', { hops: 1, networks }, '2001:db8:0:0::/64'],
    ['before proxies of IPv6', '2001:db8::1, fd12:3456::7', { hops: 1, networks }, '2001:db8:0:0::/64'],
  ] as const)('is %s', (_what, forwardedFor, proxies, expected) => {
    expect(callerAddress({ forwardedFor, peer }, proxies)).toBe(expected);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['2001:db8:1:2:3:4:5:6', '2001:0DB8:0001:0002::', true],
    ['fe80::1%eth0', 'fe80::2', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['::ffff:192.0.2.1', '192.0.2.1', true],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
  ])('at %s and at %s is one: %s', (first, second, isOne) => {
    const callers = [first, second].map((address) =>
      callerAddress({ forwardedFor: undefined, peer: address }, { hops: 0 }),
    );
    expect(callers[0] === callers[1]).toBe(isOne);
    const forwarded = [first, second].map((address) => callerAddress({ forwardedFor: address, peer }, { hops: 1 }));
    expect(forwarded).toEqual(callers);
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
