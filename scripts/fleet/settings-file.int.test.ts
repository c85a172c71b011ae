import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runFleet } from './main.ts';
import { takeSettings } from './settings-file.ts';

test('settings come from a named file, under what the environment says', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-settings-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'commands.env');
  await writeFile(file, '# of this fleet\nBROKER_URL=http://broker.example\nPLATFORM_POSTGRES_HOST=one\n');
  expect(takeSettings(['backups', '--settings', file, 'list'], { PLATFORM_POSTGRES_HOST: 'two' })).toEqual({
    args: ['backups', 'list'],
    env: { BROKER_URL: 'http://broker.example', PLATFORM_POSTGRES_HOST: 'two' },
  });
});

test.each([
  [['keys', 'status', '--settings', '/nowhere/commands.env'], /cannot be read \(ENOENT\)/],
  [['keys', 'status', '--settings'], /takes the path of a file/],
])('a call with %j is a wrong one', async (args, said) => {
  const errors: string[] = [];
  const screen = { print: () => undefined, printError: (line: string) => void errors.push(line) };
  expect(await runFleet(args, {}, screen)).toBe(2);
  expect(errors.join('\n')).toMatch(said);
});
