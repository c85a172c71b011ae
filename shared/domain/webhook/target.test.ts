import { describe, expect, test } from 'vitest';
import { checkTarget, isPublicAddress } from './target.ts';

describe('an address', () => {
  test.each([
    ['this host', '0.0.0.0'],
    ['a private one', '10.1.2.3'],
    ['a private one', '172.31.255.255'],
    ['a private one', '192.168.1.1'],
    ['loopback', '127.0.0.1'],
    ['loopback', '127.255.255.254'],
    ['link-local, where clouds keep their metadata', '169.254.169.254'],
    ["a carrier's", '100.64.0.1'],
    ["a carrier's, where a cloud keeps its metadata", '100.100.100.200'],
    ["a cloud's own", '168.63.129.16'],
    ['of documentation', '203.0.113.7'],
    ['for benchmarks', '198.19.0.1'],
    ['multicast', '224.0.0.1'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['loopback', '::1'],
    ['unspecified', '::'],
    ['unique local', 'fd00::1'],
    ['where a cloud keeps its metadata', 'fd00:ec2::254'],
    ['link-local', 'fe80::1'],
    ['link-local with a zone', 'fe80::1%eth0'],
    ['mapped', '::ffff:127.0.0.1'],
    ['mapped, in hexadecimal', '::ffff:a00:1'],
    ['mapped, of the internet', '::ffff:8.8.8.8'],
    ['compatible', '::127.0.0.1'],
    ['NAT64', '64:ff9b::a00:1'],
    ['NAT64 of a network', '64:ff9b:1::a00:1'],
    ['6to4', '2002:7f00:1::'],
    ['Teredo', '2001:0:7f00:1::'],
    ['of documentation', '2001:db8::1'],
    ['site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['no address', 'localhost'],
    ['nothing', ''],
  ])('that is %s is not of the internet: %s', (_what, address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '192.0.1.1', '2606:4700::1111', '2a00:1450:4001::1'])(
    'of the internet is one: %s',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
});

describe("an endpoint's URL", () => {
  test.each(['https://hooks.example.com/odoo?key=1', 'https://hooks.example.com:8443/'])(
    'is taken as it is: %s',
    (url) => {
      expect(checkTarget(url, 'public')).toBe(url);
    },
  );

  test.each([
    ['no URL', 'hooks.example.com'],
    ['http', 'http://hooks.example.com/'],
    ['another scheme', 'ftp://hooks.example.com/'],
    ['a password', 'https://a:b@hooks.example.com/'],
    ['a port that is no web server', 'https://hooks.example.com:5432/'],
    ['a fragment', 'https://hooks.example.com/#x'],
    ['an address', 'https://127.0.0.1/'],
    ['an address as one number', 'https://2130706433/'],
    ['an address in octal', 'https://0177.0.0.1/'],
    ['an address of IPv6', 'https://[::1]/'],
    ['this machine', 'https://localhost/'],
    ['this machine by a subdomain', 'https://a.localhost/'],
    ['this machine with a last dot', 'https://localhost./'],
    ['a name without a domain', 'https://provision/'],
    ["a cluster's Service", 'https://provision.odoo-fleet.svc.cluster.local/'],
    ["a cluster's Service in short", 'https://provision.odoo-fleet.svc/'],
    ['a name of clouds', 'https://metadata.google.internal/'],
    ['too much', `https://hooks.example.com/${'a'.repeat(2_000)}`],
  ])('is refused with %s', (_what, url) => {
    expect(() => checkTarget(url, 'public')).toThrow(
      expect.objectContaining({ code: 'invalid-request', facts: { field: 'url' } }),
    );
  });

  test('may be on this machine where tests say so', () => {
    expect(checkTarget('http://127.0.0.1:4000/x', 'any')).toBe('http://127.0.0.1:4000/x');
    expect(() => checkTarget('file:///etc/passwd', 'any')).toThrow('http');
  });
});
