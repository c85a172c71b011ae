import { describe, expect, test } from 'vitest';
import { checkTarget } from './target.ts';

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
      expect.objectContaining({ code: 'invalid-request', facts: { field: 'body.url' } }),
    );
  });

  test('may be on this machine where tests say so', () => {
    expect(checkTarget('http://127.0.0.1:4000/x', 'any')).toBe('http://127.0.0.1:4000/x');
    expect(() => checkTarget('file:///etc/passwd', 'any')).toThrow('http');
  });
});
