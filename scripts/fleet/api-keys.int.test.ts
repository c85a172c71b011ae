import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiKeyRecords } from '#shared/adapters/postgres/api-keys.ts';
import { scopes } from '#shared/domain/access/principal.ts';
import { openAuthenticator } from '#shared/runtime/access/authenticate.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { runFleet } from './main.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-api-keys-'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
});
afterAll(() => rm(folder, { recursive: true }));

async function fleet(...args: string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const screen = { print: (line: string) => void out.push(line), printError: (line: string) => void errors.push(line) };
  const code = await runFleet(args, platformSettings(made(), join(folder, 'password')), screen);
  return { code, out, errors: errors.join('\n') };
}

const holderOf = (key: string) =>
  openAuthenticator({
    keys: apiKeyRecords(records()),
    verifyToken: undefined,
    onTrouble: () => undefined,
  }).authenticate({
    authorization: `Bearer ${key}`,
  });

test('the first admin gets a key without anybody to ask', async () => {
  const { code, out } = await fleet('keys', 'create', '--admin', '--days', '7');
  expect(code).toBe(0);
  expect(await holderOf(out[0] ?? '')).toMatchObject({ role: 'admin', customerId: null, scopes });
  const { rows } = await records().query<{ actor: string; text: string }>(
    "select actor, detail::text as text from audit where action = 'key.created'",
  );
  expect(rows).toHaveLength(1);
  expect(rows[0]?.actor).toMatch(/^operator ./);
  expect(rows[0]?.text).not.toContain(out[0]?.slice(-43));
});

test('a key of a customer nobody knew is for his rows only', async () => {
  const { out } = await fleet('keys', 'create', '--customer', 'acme', '--name', 'console', '--json');
  const { key } = JSON.parse(out[0] ?? '') as { key: string };
  expect(await holderOf(key)).toMatchObject({ role: 'customer', customerId: 'acme' });
});

test.each([
  [[], 'State --admin, or --customer'],
  [['--admin', '--customer', 'acme'], 'State --admin, or --customer'],
  [['--admin', '--days', '0'], '--days is 1 to 365'],
  [['--admin', '--days', '366'], '--days is 1 to 365'],
  [['--customer', 'a b'], '--customer is a customer id'],
  [['--admin', '--name', ''], '--name is 1 to 100 characters'],
])('called with %j it says what to write', async (options, why) => {
  const { code, errors } = await fleet('keys', 'create', ...options);
  expect([code, errors]).toEqual([2, expect.stringContaining(why)]);
});
