import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { insertBackup, insertPlacedInstance } from '#shared/adapters/postgres/backup-records.fixture.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { insertCatalogue, insertServer } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { runFleet } from './main.ts';
import { sizeOf } from './screen.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
let folder: string;
let instanceId: string;
let other: string;
let older: string;
let newer: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-command-'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  await insertCatalogue(records());
  await insertServer(records(), { id: 'one', maxInstances: 10 });
  instanceId = await insertPlacedInstance(records(), 1);
  other = await insertPlacedInstance(records(), 2);
  older = await insertBackup(records(), instanceId, { kind: 'manual', daysAgo: 1 });
  newer = await insertBackup(records(), instanceId);
  await records().query(
    `update backups set snapshot_at = '2026-11-21T01:02:03.5Z', proof = 'proven', proof_at = '2026-11-21T05:00:00Z',
       odoo_booted = true where id = $1`,
    [older],
  );
});
afterAll(() => rm(folder, { recursive: true }));

async function fleet(...args: string[]) {
  const out: string[] = [];
  const errors: string[] = [];
  const screen = { print: (line: string) => void out.push(line), printError: (line: string) => void errors.push(line) };
  const code = await runFleet(args, platformSettings(made(), join(folder, 'password')), screen);
  return { code, out: out.join('\n'), errors: errors.join('\n') };
}

test('backups are listed newest first, with the last proven restorable point', async () => {
  const { code, out } = await fleet('backups', 'list', instanceId);
  expect(code).toBe(0);
  const lines = out.split('\n');
  expect(lines[0]).toMatch(/^BACKUP +KIND +STATE +PROOF +HOLDS THE STATE OF +DUMP +FILES$/);
  expect(lines[1]).toMatch(new RegExp(`^${newer} +scheduled +succeeded +none +\\S+Z +1000 B +4\\.7 GiB$`));
  expect(lines[2]).toMatch(new RegExp(`^${older} +manual +succeeded +proven, booted +2026-11-21T01:02:03Z`));
  expect(lines[3]).toBe(`Last proven restorable point: 2026-11-21T01:02:03Z (${older})`);
  expect((await fleet('backups', 'list', other)).out).toBe('There are no backups.\nLast proven restorable point: none');
});

test('one is shown whole, and no key in it', async () => {
  const { code, out } = await fleet('backups', 'show', instanceId, older);
  expect(code).toBe(0);
  expect(out).toMatch(/^proof +proven, booted at 2026-11-21T05:00:00Z$/m);
  expect(out).toMatch(/^files +3, 4\.7 GiB, of these 7 B new$/m);
  expect(out).toMatch(/^odooVersion +19\.0\.1\.3$/m);
  const json = await fleet('backups', 'show', instanceId, '--json');
  expect(JSON.parse(json.out)).toMatchObject({ backup: { id: newer, state: 'succeeded' }, progress: null });
  expect(json.out + out).not.toContain(`dump ${newer}`);
  expect(json.out + out).not.toContain(`dump ${older}`);
});

test('what is not there, or another instance’s, is exit code 1; a wrong call is 2', async () => {
  expect(await fleet('backups', 'show', other, older)).toMatchObject({
    code: 1,
    errors: `Instance ${other} has no backup ${older}.`,
  });
  expect(await fleet('backups', 'show', other)).toMatchObject({ code: 1 });
  const unknown = await fleet('backups', 'list', 'zzzzzzzzzzzz', '--json');
  expect(unknown).toMatchObject({ code: 1 });
  expect(JSON.parse(unknown.out)).toEqual({
    error: { code: 'not-found', message: 'There is no instance zzzzzzzzzzzz.' },
  });
  for (const args of [
    [],
    ['backups'],
    ['backups', 'list'],
    ['backups', 'list', 'a', 'b'],
    ['backups', 'drop', 'a'],
    ['--wrong'],
  ]) {
    expect((await fleet(...args)).code).toBe(2);
  }
  expect(await fleet('--help')).toMatchObject({ code: 0, out: expect.stringContaining('Usage:') });
});

test('sizes are told in powers of 1024', () => {
  expect([0, 1023, 1024, 1536, 1024 ** 3, 1024 ** 5].map(sizeOf)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '1.0 GiB',
    '1024.0 TiB',
  ]);
});
