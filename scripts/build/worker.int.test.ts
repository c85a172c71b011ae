import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleWorker, workerBudget } from './worker.ts';

let folder: string;
let mistakes: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-built-worker-'));
  mistakes = await bundleWorker(join(folder, 'worker'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function run(args: readonly string[], program = 'main.js'): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { PATH: process.env['PATH'] ?? '', TMPDIR: folder } };
    execFile(process.execPath, [join(folder, 'worker', program), ...args], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

describe('the built worker', () => {
  it('is one program within its budget, which is not much above its size', async () => {
    expect(mistakes).toEqual([]);
    const { size } = await stat(join(folder, 'worker', 'main.js'));
    expect(size).toBeGreaterThan(workerBudget * 0.8);
    expect((await readdir(join(folder, 'worker'))).toSorted()).toEqual([
      'main.js',
      'main.js.map',
      'package.json',
      'platform',
      'sink',
    ]);
  });

  it('has the program beside it that backs up the platform itself', async () => {
    const platform = (...args: string[]) => run(args, join('platform', 'main.js'));
    expect(await platform('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('platform backup') });
    expect(await platform('drop')).toMatchObject({ code: 2 });
    const { code, stderr } = await platform('backup');
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('PLATFORM_POSTGRES_DIRECT_HOST'),
    });
    expect(await readdir(join(folder, 'worker', 'platform', 'migrations'))).toContain('0014_keep-backups.sql');
  });

  it('runs on Node alone', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('ORDER_FILE') });
    expect(await run([])).toMatchObject({ code: 2 });
    expect(await run(['a', 'b'])).toMatchObject({ code: 2 });
  });

  it('says what is wrong with its order, and reaches for the store and PostgreSQL it names', async () => {
    expect(await run(['/nowhere'])).toMatchObject({ code: 1, stderr: expect.stringMatching(/^misconfigured: /) });
    const key = Buffer.alloc(32).toString('base64');
    const order = {
      version: 1,
      task: 'backup',
      instanceId: 'abcdefghijkl',
      operationId: 'o1',
      backupId: 'b1',
      attempt: 1,
      store: {
        kind: 's3',
        endpoint: 'http://127.0.0.1:1',
        region: 'r',
        bucket: 'b',
        accessKeyId: 'a',
        secretAccessKey: 's',
      },
      prefix: 'backups/abcdefghijkl/b1/1',
      resultKey: key,
      database: { host: '127.0.0.1', port: 1, user: 'u', password: 'p', database: 'd', sslMode: 'disable' },
      filestore: '/nowhere',
      keys: { dump: key, files: key },
      facts: { kind: 'manual', customerId: 'c', imageId: 'i', addonsDigest: '', previous: null },
    };
    const file = join(folder, 'order.json');
    await writeFile(file, JSON.stringify(order));
    const { code, stderr } = await run([file]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/unavailable: PostgreSQL cannot be/),
    });
  });
});
