import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ensurePackages, findProgram } from './packages.ts';

test('a program is found on PATH, and one that does not exist is not', async () => {
  expect(await findProgram('sh')).toMatch(/\/sh$/);
  expect(await findProgram('no-such-program')).toBeUndefined();
});

test.each(['--purge', 'a b', 'a;b', '', '../x'])('%j is refused as the name of a package', async (name) => {
  await expect(ensurePackages([name])).rejects.toThrow('not a package name');
});

const isDebian = (await findProgram('apt-get')) !== undefined;
describe.runIf(isDebian)('on Debian', () => {
  test('without root, the answer is the command to run, without what is installed', () => {
    const script = `import { ensurePackages } from '${join(import.meta.dirname, 'packages.ts')}';
      await ensurePackages(['dpkg', 'no-such-package']).catch((error) => console.log(error.message));`;
    const isRoot = process.getuid?.() === 0;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      encoding: 'utf8',
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' },
      ...(isRoot ? { uid: 65534, gid: 65534 } : {}),
    });
    expect(stdout).toBe('missing: no-such-package. Run this as root: apt-get install no-such-package\n');
  });
});
