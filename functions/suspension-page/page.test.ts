import { describe, expect, it } from 'vitest';
import { languageFor, pageFor } from './page.ts';

describe('the suspension page', () => {
  it.each([
    ['billing', 402],
    ['abuse', 403],
  ] as const)('for %s answers %i, says what to do, and is kept by nobody', (reason, status) => {
    const page = pageFor(reason, {});
    expect(page.status).toBe(status);
    expect(page.headers).toMatchObject({
      'retry-after': '3600',
      'cache-control': 'no-store',
      'x-robots-tag': 'noindex',
    });
    expect(page.body).toMatch(/<h1>This Odoo .*<p>.*data is kept.*please ask/s);
    expect(page.headers['content-length']).toBe(String(Buffer.byteLength(page.body)));
  });

  it('loads nothing and runs nothing', () => {
    const { body, headers } = pageFor('billing', {});
    expect(body).not.toMatch(/<script|src=|href=|url\(|@import/);
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/=]+';/);
  });

  it('says nothing of who asked for whom', () => {
    const asked = pageFor('billing', {
      host: 'shop.example.com',
      cookie: 'session=1',
      referer: 'https://secret.example',
    });
    expect(asked).toEqual(pageFor('billing', {}));
  });

  it('is JSON for programs', () => {
    const { body, headers } = pageFor('abuse', { accept: 'application/json' });
    expect(headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status: 403, code: 'suspended', reason: 'abuse' });
    expect(pageFor('abuse', { 'content-type': 'application/json' }).headers['content-type']).toMatch(/json/);
    const browser = 'text/html,application/xhtml+xml,application/json;q=0.9';
    expect(pageFor('abuse', { accept: browser }).headers['content-type']).toMatch(/html/);
  });

  it('speaks the language that is asked for', () => {
    const german = pageFor('billing', { 'accept-language': 'de-AT,en;q=0.5' });
    expect(german.body).toContain('<html lang="de">');
    expect(german.headers['content-language']).toBe('de');
    expect(german.body).toContain('angehalten');
  });

  it.each([
    ['', 'en'],
    ['*', 'en'],
    ['fr', 'en'],
    ['fr,de;q=0.4', 'de'],
    ['de;q=0.4, en;q=0.8', 'en'],
    ['de;q=0', 'en'],
    ['DE', 'de'],
    [';;;q=x,,de', 'de'],
  ])('of Accept-Language %j takes %s', (header, language) => {
    expect(languageFor(header)).toBe(language);
  });
});
