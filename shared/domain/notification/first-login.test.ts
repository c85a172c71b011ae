import { expect, test } from 'vitest';
import { hashOfToken, openFirstLogin, sealFirstLogin } from './first-login.ts';

const login = { url: 'https://acme.odoo.example', login: 'owner@acme.example', password: 'Xy7-secret-password' };

test('what is sealed is opened by its token, for its instance', () => {
  const { token, tokenSha256, sealed } = sealFirstLogin(login, 'aaaaaaaaaaaa');
  expect(openFirstLogin({ token, sealed }, 'aaaaaaaaaaaa')).toEqual(login);
  expect(hashOfToken(token)).toEqual(tokenSha256);
  expect(openFirstLogin({ token, sealed }, 'bbbbbbbbbbbb')).toBeUndefined();
});

test('what is kept tells nothing, and opens nothing', () => {
  const { token, tokenSha256, sealed } = sealFirstLogin(login, 'aaaaaaaaaaaa');
  for (const kept of [tokenSha256, sealed]) {
    expect(kept.toString('latin1')).not.toContain(login.password);
    expect(kept.includes(Buffer.from(token, 'base64url'))).toBe(false);
  }
  const fromHash = { token: tokenSha256.toString('base64url'), sealed };
  expect(openFirstLogin(fromHash, 'aaaaaaaaaaaa')).toBeUndefined();
});

test('another token, a changed byte or a shorter text opens nothing', () => {
  const { token, sealed } = sealFirstLogin(login, 'aaaaaaaaaaaa');
  const other = sealFirstLogin(login, 'aaaaaaaaaaaa');
  expect(other.token).not.toBe(token);
  expect(openFirstLogin({ token: other.token, sealed }, 'aaaaaaaaaaaa')).toBeUndefined();
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(openFirstLogin({ token, sealed: changed }, 'aaaaaaaaaaaa')).toBeUndefined();
  }
  expect(openFirstLogin({ token, sealed: sealed.subarray(0, 20) }, 'aaaaaaaaaaaa')).toBeUndefined();
});

test.each(['', 'a', '../etc', `${'a'.repeat(42)}=`, 'a'.repeat(44), `${'a'.repeat(42)}\n`])(
  '%j is no token',
  (text) => {
    expect(hashOfToken(text)).toBeUndefined();
  },
);
