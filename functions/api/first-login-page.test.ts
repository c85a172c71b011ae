import { createHash } from 'node:crypto';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { firstLoginPage, firstLoginPolicy } from './first-login-page.ts';

const script = /<script>([^]*)<\/script>/.exec(firstLoginPage)?.[1] ?? '';
const ids = [...firstLoginPage.matchAll(/ id="([a-z-]+)"/g)].map(([, id]) => id ?? '');
const token = 'a'.repeat(43);
const shown = { url: 'https://acme.odoo.example', login: 'owner@acme.example', password: 'first-password' };

type Part = { textContent: string; hidden: boolean; disabled: boolean; href: string; press?: () => Promise<void> };

/** The script on a page that has nothing but its own parts. */
function open({ hash = `#${token}`, answers = [] as { status: number; body?: unknown }[], language = 'en' } = {}) {
  const parts = new Map<string, Part>(
    ids.map((id) => [id, { textContent: '', hidden: false, disabled: false, href: '' }]),
  );
  const part = (id: string): Part => {
    const found = parts.get(id);
    if (found === undefined) throw new Error(`the page has no ${id}`);
    return found;
  };
  for (const one of parts.values()) {
    Object.assign(one, {
      focus: () => undefined,
      addEventListener: (_name: string, press: () => Promise<void>) => Object.assign(one, { press }),
    });
  }
  const asked: { url: string; body: unknown }[] = [];
  const address = { hash, pathname: '/first-login' };
  runInNewContext(script, {
    navigator: { language },
    document: { documentElement: {}, getElementById: part },
    location: address,
    history: {
      replaceState: (_state: null, _title: string, path: string) => Object.assign(address, { hash: '', path }),
    },
    fetch: async (url: string, init: { body: string }) => {
      asked.push({ url, body: JSON.parse(init.body) });
      const { status, body } = answers.shift() ?? { status: 500 };
      return { status, ok: status === 200, json: async () => body };
    },
  });
  return { part, asked, address };
}

describe('the page of a link', () => {
  test('asks for nothing before its button is pressed, and takes the token out of the address', () => {
    const page = open();
    expect(page.asked).toEqual([]);
    expect(page.address).toMatchObject({ hash: '', path: '/first-login' });
    expect(page.part('show').textContent).toBe('Show the password');
    expect(open({ language: 'de-AT' }).part('show').textContent).toBe('Passwort anzeigen');
  });

  test('shows what it was answered, as text, and the button no more', async () => {
    const page = open({ answers: [{ status: 200, body: shown }] });
    await page.part('show').press?.();
    expect(page.asked).toEqual([{ url: 'v1/first-login', body: { token } }]);
    expect(page.part('the-password').textContent).toBe(shown.password);
    expect(page.part('the-login').textContent).toBe(shown.login);
    expect(page.part('the-url').href).toBe(shown.url);
    expect(page.part('show').hidden).toBe(true);
  });

  test('says so when the link was used, and lets him press again when it did not work', async () => {
    const used = open({ answers: [{ status: 404 }] });
    await used.part('show').press?.();
    expect(used.part('status').textContent).toContain('used already');
    expect(used.part('show').disabled).toBe(true);
    const late = open({ answers: [{ status: 503 }, { status: 200, body: shown }] });
    await late.part('show').press?.();
    expect(late.part('status').textContent).toContain('Try again');
    expect(late.part('show').disabled).toBe(false);
    await late.part('show').press?.();
    expect(late.part('the-password').textContent).toBe(shown.password);
  });

  test('without a token can show nothing', () => {
    expect(open({ hash: '' }).part('show').disabled).toBe(true);
  });

  test('runs its one script, and none of anybody else', () => {
    const digest = createHash('sha256').update(script).digest('base64');
    expect(firstLoginPolicy).toContain(`script-src 'sha256-${digest}'`);
    expect(firstLoginPage).not.toMatch(/ on[a-z]+=|src=|javascript:/);
  });
});
