import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openBackupKeys } from './backup-keys.ts';
import { knownSecrets } from './known-secrets.ts';

let folder: string;
let path: string;
const [k1, k2] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
const context = { purpose: 'files', instanceId: 'abcdefghijkl' } as const;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backup-keys-'));
  path = join(folder, 'keys.json');
});
afterAll(() => rm(folder, { recursive: true }));

/** As a mounted Secret changes: another file takes the name. */
async function writeRing(text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

it('takes up a rotated key ring without a restart, and forgets a key that was removed', async () => {
  const { wrapper, signer } = openBackupKeys({ backupKeysFile: path });
  await writeRing(JSON.stringify({ current: 'k1', keys: { k1 } }));
  const key = randomBytes(32);
  const old = await wrapper.wrap(key, context);
  const signature = signer.sign(key);
  await writeRing(JSON.stringify({ current: 'k2', keys: { k1, k2 } }));
  expect(await wrapper.unwrap(old, context)).toEqual(key);
  const fresh = (await wrapper.rewrap(old, context)) ?? '';
  expect(fresh).toMatch(/^w1\.k2\./);
  expect(signer.isSigned(key, signature)).toBe(true);
  await writeRing(JSON.stringify({ current: 'k2', keys: { k2 } }));
  expect(await wrapper.unwrap(fresh, context)).toEqual(key);
  await expect(wrapper.unwrap(old, context)).rejects.toMatchObject({ code: 'misconfigured' });
  expect(signer.isSigned(key, signature)).toBe(false);
});

it('fails while the file is wrong, and goes on when it is mended', async () => {
  const { wrapper } = openBackupKeys({ backupKeysFile: path });
  await writeRing(`{"current":"k1","keys":{"k1":"${k1}"`);
  await expect(wrapper.wrap(randomBytes(32), context)).rejects.toMatchObject({ code: 'misconfigured' });
  await writeRing(JSON.stringify({ current: 'k1', keys: { k1 } }));
  expect(await wrapper.wrap(randomBytes(32), context)).toMatch(/^w1\.k1\./);
  expect(knownSecrets.scrub(`the key ${k1}`)).toBe('the key [secret]');
});

it.each([
  [undefined, /BACKUP_KEYS_FILE is not set/],
  ['/nowhere/keys.json', /cannot be read \(ENOENT\)/],
])('says that there is no key ring: %s', async (backupKeysFile, message) => {
  const { wrapper } = openBackupKeys({ backupKeysFile });
  await expect(wrapper.wrap(randomBytes(32), context)).rejects.toMatchObject({
    code: 'misconfigured',
    message: expect.stringMatching(message),
  });
});
