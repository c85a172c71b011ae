import { describe, expect, test } from 'vitest';
import { isProven, proofOf, readHost } from './custom-domain.ts';

const ours = ['odoo.example', 'eu.fleet.example.com'];

describe('a host of a customer', () => {
  test.each([
    ['shop.acme.com', 'shop.acme.com'],
    ['SHOP.Acme.COM.', 'shop.acme.com'],
    ['acme.com', 'acme.com'],
    ['xn--mnchen-3ya.de', 'xn--mnchen-3ya.de'],
    ['www.acme.com', 'www.acme.com'],
    ['notodoo.example', 'notodoo.example'],
  ])('%s is %s', (text, host) => {
    expect(readHost(text, ours)).toBe(host);
  });

  test.each([
    ['', 'invalid-request'],
    ['acme', 'invalid-request'],
    ['*.acme.com', 'invalid-request'],
    ['acme..com', 'invalid-request'],
    ['.acme.com', 'invalid-request'],
    ['-a.com', 'invalid-request'],
    ['a_b.com', 'invalid-request'],
    ['münchen.de', 'invalid-request'],
    ['acme.com/path', 'invalid-request'],
    ['acme.com:80', 'invalid-request'],
    ['acme.com\nx.com', 'invalid-request'],
    ['10.0.0.1', 'invalid-request'],
    [`${'a'.repeat(64)}.com`, 'invalid-request'],
    [`${'a.'.repeat(126)}com`, 'invalid-request'],
    ['odoo.example', 'name-reserved'],
    ['shop.odoo.example', 'name-reserved'],
    ['a.b.eu.fleet.example.com', 'name-reserved'],
    ['example.com', 'name-reserved'],
    ['fleet.example.com', 'name-reserved'],
    ['kubernetes.default.svc.cluster.local', 'name-reserved'],
    ['app.localhost', 'name-reserved'],
    ['metadata.google.internal', 'name-reserved'],
  ])('%j is refused: %s', (text, code) => {
    expect(() => readHost(text, ours)).toThrow(expect.objectContaining({ code, facts: { field: 'body.host' } }));
  });
});

describe('the proof of a host', () => {
  const domain = { host: 'shop.acme.com', token: 'abc' };

  test('is a record under a name of its own', () => {
    expect(proofOf(domain)).toEqual({ name: '_odoo-fleet.shop.acme.com', text: 'odoo-fleet=abc' });
  });

  test('is found among others, and nothing else is taken for it', () => {
    expect(isProven(domain, ['v=spf1 -all', ' odoo-fleet=abc '])).toBe(true);
    expect(isProven(domain, ['odoo-fleet=abcd', 'odoo-fleet=', 'abc', 'xodoo-fleet=abc'])).toBe(false);
    expect(isProven(domain, [])).toBe(false);
  });
});
