import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { knownSecrets } from './known-secrets.ts';
import { odooAdminPasswords } from './odoo-passwords.ts';

const folder = mkdtempSync(join(tmpdir(), 'passwords-'));
afterAll(() => rmSync(folder, { recursive: true }));
const mounted = join(folder, 'mounted');
mkdirSync(mounted);
writeFileSync(join(folder, 'outside'), 'not ours');

type Config = Parameters<typeof odooAdminPasswords>[0];
const passwordOf = odooAdminPasswords({
  odooPasswordsFolder: mounted,
  legacyPassword: 'of-the-older-platform',
} as Config);

test('the password is what the file of its key holds now, without the last line end', () => {
  writeFileSync(join(mounted, 'eu-1.db'), 'first-password\n');
  expect(passwordOf('eu-1.db')).toBe('first-password');
  writeFileSync(join(mounted, 'eu-1.db'), 'rotated-password');
  expect(passwordOf('eu-1.db')).toBe('rotated-password');
});

test('what was read never gets into a log', () => {
  writeFileSync(join(mounted, 'one'), 'a-password-to-hide');
  passwordOf('one');
  expect(knownSecrets.scrub('with a-password-to-hide in it')).not.toContain('a-password-to-hide');
});

test('the older platform’s server has a setting of its own', () => {
  expect(passwordOf('legacy')).toBe('of-the-older-platform');
});

test.each(['nowhere', '../outside', '..', '.', '.hidden', 'a/b', '', 'a\u0000b'])(
  'there is none for the key %j',
  (key) => {
    expect(passwordOf(key)).toBeUndefined();
  },
);

test('there is none without a mounted Secret', () => {
  expect(odooAdminPasswords({} as Config)('one')).toBeUndefined();
});
