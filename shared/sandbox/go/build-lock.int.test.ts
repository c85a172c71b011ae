import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withBuildLock } from './build-lock.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'build-lock-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('lets one work at a time', async () => {
  let working = 0;
  let most = 0;
  const work = async () => {
    working += 1;
    most = Math.max(most, working);
    await pause(20);
    working -= 1;
  };
  const lock = join(folder, 'lock');
  await Promise.all([1, 2, 3].map(() => withBuildLock(lock, work, { timeoutMs: 10_000 })));
  expect(most).toBe(1);
  await expect(access(lock)).rejects.toThrow('ENOENT');
});

it('takes over from a holder that has died', async () => {
  const child = spawn('true');
  await once(child, 'exit');
  const lock = join(folder, 'lock');
  await mkdir(lock);
  await writeFile(join(lock, 'holder'), `${child.pid} 1`);
  expect(await withBuildLock(lock, async () => 'done', { timeoutMs: 5000 })).toBe('done');
});

it('frees the lock after a failure, and gives up on a holder that lives', async () => {
  const lock = join(folder, 'lock');
  const failing = withBuildLock(lock, () => Promise.reject(new Error('no compiler')), { timeoutMs: 1000 });
  await expect(failing).rejects.toThrow('no compiler');
  await withBuildLock(
    lock,
    async () => {
      const second = withBuildLock(lock, async () => 'never', { timeoutMs: 100 });
      await expect(second).rejects.toThrow('another process still builds');
    },
    { timeoutMs: 1000 },
  );
});
