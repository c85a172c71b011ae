import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openDirectoryStore } from '#shared/adapters/objectstore/directory.ts';
import { openBackupResult, workerProgressSchema } from '#shared/domain/backup/manifest.ts';
import type { StoreAccess, WorkerOrder } from '#shared/domain/backup/order.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { accept, backupOrder, runVerify, verifyOrder } from './backup.fixture.ts';
import { dropTestDatabase, makeTenant, type Tenant } from './tenant.fixture.ts';

const program = fileURLToPath(new URL('./main.ts', import.meta.url));
let folder: string;
let access: StoreAccess;
let store: ObjectStore;
let tenant: Tenant;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-main-'));
  access = { kind: 'directory', folder: join(folder, 'store') };
  store = openDirectoryStore(access.folder);
  tenant = await makeTenant(folder, { partners: 60_000 });
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

/** The program as the Job runs it, with a folder for temporary files of its own. */
async function start(order: WorkerOrder | string) {
  const temporary = await mkdtemp(join(folder, 'tmp-'));
  const file = join(temporary, 'order.json');
  await writeFile(file, typeof order === 'string' ? order : JSON.stringify(order));
  const child = spawn(process.execPath, [program, file], {
    env: { PATH: process.env['PATH'] ?? '', TMPDIR: temporary },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<{ code: number | null; signal: string | null; stderr: string }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stderr }));
  });
  return { child, ended, temporary };
}

const sessions = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
const noSessions = () =>
  expect
    .poll(async () => (await tenant.asSuperuser((c) => c.query(sessions))).rows, { timeout: 15_000 })
    .toEqual([{ n: 0 }]);

describe('the worker', () => {
  it('makes a backup and verifies it, and leaves nothing in the folder for temporary files', async () => {
    const order = backupOrder(tenant, { store: access });
    const made = await start(order);
    expect(await made.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/4 files, 4 of them new\.\n$/) });
    expect(await readdir(made.temporary)).toEqual(['order.json']);
    const progress: unknown = JSON.parse(String(await store.get(`${order.prefix}/progress`)));
    expect(v.is(workerProgressSchema, progress)).toBe(true);
    const check = await verifyOrder(await accept(order, store));
    const proven = await start(check);
    expect(await proven.ended).toMatchObject({ code: 0, stderr: expect.stringMatching(/it is proven\.\n$/) });
    await dropTestDatabase(check.database);
  });

  it('has no secret in a command line or an environment of its own or of its children', async () => {
    const order = backupOrder(tenant, { store: access });
    const goOn = await holdUpDump();
    const { child, ended } = await start(order);
    const seen = new Set<string>();
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    const secrets = [order.database.password, order.resultKey, order.keys.dump, order.keys.files];
    while (!isOver) {
      for (const pid of await family(child.pid ?? 0)) {
        const about = await aboutProcess(pid);
        seen.add(about.split('\0')[0] ?? '');
        for (const secret of secrets) expect(about).not.toContain(secret);
      }
      if ([...seen].some((name) => name.endsWith('pg_dump'))) await goOn();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(await ended).toMatchObject({ code: 0 });
    expect([...seen].some((name) => name.endsWith('pg_dump'))).toBe(true);
  });

  it('ends its children on SIGTERM, removes its files, and exits 143 without a result', async () => {
    const order = backupOrder(tenant, { store: access });
    const goOn = await holdUpDump();
    const { child, ended, temporary } = await start(order);
    await dumping(temporary);
    const children = (await family(child.pid ?? 0)).filter((pid) => pid !== child.pid);
    child.kill('SIGTERM');
    const { code, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 143, stderr: 'Ended as asked, without a result.\n' });
    expect(await readdir(temporary)).toEqual(['order.json']);
    expect(await store.get(`${order.prefix}/manifest`)).toBeUndefined();
    expect(await Promise.all(children.map(aboutProcess))).toEqual(children.map(() => ''));
    await goOn();
    await noSessions();
  });

  it('killed at any moment leaves nothing that is taken for a result, and another try succeeds', async () => {
    const first = backupOrder(tenant, { store: access });
    const moments = [20, 150, 300, 450, 600, 800, 1_100];
    let killed = 0;
    for (const [at, momentMs] of moments.entries()) {
      const order = { ...first, attempt: at + 1, prefix: first.prefix.replace(/\d+$/, String(at + 1)) };
      const { child, ended } = await start(order);
      const timer = setTimeout(() => child.kill('SIGKILL'), momentMs);
      const { signal } = await ended;
      clearTimeout(timer);
      if (signal !== 'SIGKILL') continue;
      killed += 1;
      const result = await store.get(`${order.prefix}/manifest`);
      // written whole, or not at all; it is accepted no more, for the last try has another
      if (result !== undefined) openBackupResult(result, order);
    }
    expect(killed).toBeGreaterThan(2);
    await noSessions();
    const last = { ...first, attempt: 99, prefix: first.prefix.replace(/\d+$/, '99') };
    expect(await (await start(last)).ended).toMatchObject({ code: 0 });
    // of the earlier tries only files of the filestore may be used again, which are read before
    expect(await runVerify(await accept(last, store), store)).toMatchObject({ differences: [] });
  });

  it.each([
    ['is not JSON', '{"resultKey": "c2VjcmV0'],
    ['is wrong: task', '{"task": "format"}'],
    ['is wrong: resultKey', 'short key'],
    ['its prefix is not one of that task', 'foreign prefix'],
  ])('refuses an order that %s, without showing what is in it', async (words, text) => {
    const order = backupOrder(tenant, { store: access });
    const changed: Record<string, WorkerOrder> = {
      'short key': { ...order, resultKey: 'c2VjcmV0' },
      'foreign prefix': { ...order, prefix: 'backups/another/b/1' },
    };
    const { ended } = await start(changed[text] ?? text);
    const { code, stderr } = await ended;
    expect(code).toBe(1);
    expect(stderr).toContain(words);
    expect(stderr).toMatch(/^misconfigured: .*\n$/);
    expect(stderr).not.toContain('c2VjcmV0');
  });

  it('says in its last line that it may not log in, without the password', async () => {
    const order = backupOrder(tenant, { store: access });
    const wrong = { ...order, database: { ...order.database, password: 'guessed' } };
    const { code, stderr } = await (await start(wrong)).ended;
    expect({ code, last: stderr.trim().split('\n').at(-1) }).toEqual({
      code: 1,
      last: `misconfigured: PostgreSQL does not let the worker in: password authentication failed for user "${order.database.user}".`,
    });
  });
});

/** Keeps pg_dump waiting for a table, up to its own 60 s, until what it resolves with is called. */
async function holdUpDump(): Promise<() => Promise<void>> {
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: isHeld, resolve: tellHeld } = Promise.withResolvers<void>();
  const holding = tenant.asSuperuser(async (client) => {
    await client.query('BEGIN; LOCK TABLE ir_attachment IN ACCESS EXCLUSIVE MODE');
    tellHeld();
    await mayGoOn;
  });
  onTestFinished(() => goOn());
  await Promise.race([isHeld, holding]);
  return async () => {
    goOn();
    await holding;
  };
}

/** Until pg_dump has been given its password file. */
async function dumping(temporary: string): Promise<void> {
  await expect
    .poll(async () => (await readdir(temporary, { recursive: true })).some((name) => name.endsWith('pgpass')), {
      timeout: 15_000,
      interval: 10,
    })
    .toBe(true);
}

/** The process and its children. */
async function family(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return [pid, ...text.split(' ').filter(Boolean).map(Number)];
}

/** Command line and environment; empty when it is gone. */
async function aboutProcess(pid: number): Promise<string> {
  const parts = ['cmdline', 'environ'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => ''));
  return (await Promise.all(parts)).join('');
}
