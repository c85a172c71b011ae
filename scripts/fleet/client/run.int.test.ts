import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Environment } from '#shared/runtime/config.ts';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { clientOfThisFile, tokens } from './client.fixture.ts';
import { settingsFile } from './settings.ts';

const { api, run } = clientOfThisFile();
const instance = testInstanceId(1);
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'fleet-client-'));
  await insertCatalogue(api().database);
  await insertServer(api().database, { id: 'one', maxInstances: 10 });
});
afterAll(() => rm(home, { recursive: true }));
beforeEach(async () => {
  await api().database.query('truncate operations, operation_steps, outbox, instances cascade');
  await insertTestInstance(api().database, instance);
  await api().database.query(`update instances set status = 'running', observed_generation = generation`);
});

const as = (role: keyof typeof tokens): Environment => ({
  HOME: home,
  FLEET_URL: api().url,
  FLEET_TOKEN: tokens[role],
});
const fleet = (...args: string[]) => run(args, as('admin'));
const change = (set: string) => api().database.query(`update operations set ${set}`);

describe('instances', () => {
  test('are listed and shown, for people and for programs', async () => {
    const listed = await fleet('instances', 'list', '--status', 'running');
    expect(listed).toMatchObject({ code: 0, errors: '' });
    const [heads, row] = listed.out.split('\n');
    expect(heads).toMatch(/^INSTANCE +NAME +CUSTOMER +STATUS +WANTED/);
    expect(row).toMatch(new RegExp(`^${instance} +n-${instance} +c-1 +running +running`));
    expect((await fleet('instances', 'list', '--status', 'stopped')).out).toBe('There are no instances.');
    const json = await fleet('instances', 'list', '--json');
    expect(JSON.parse(json.out)).toMatchObject({ items: [{ id: instance, customerId: 'c-1' }], next: null });
    expect((await fleet('instances', 'show', instance)).out).toMatch(/^plan +small$/m);
  });

  test('that are more than a page are all read when all are asked for', async () => {
    for (const number of [2, 3]) await insertTestInstance(api().database, testInstanceId(number));
    expect((await fleet('instances', 'list', '--limit', '2')).out).toContain('There are more');
    const all = await fleet('--json', 'instances', 'list', '--limit', '2', '--all');
    expect(JSON.parse(all.out).items).toHaveLength(3);
  });

  test('are made and commanded: what is accepted is said with how to watch it', async () => {
    const created = await fleet(
      'instances',
      'create',
      'acme',
      '--plan',
      'small',
      '--owner',
      'o@acme.example',
      '--customer',
      'c-1',
    );
    expect(created).toMatchObject({ code: 0, out: expect.stringContaining('fleet operations watch ') });
    const stopped = await fleet('instances', 'stop', instance, '--reason', 'a test', '--json');
    expect(JSON.parse(stopped.out)).toMatchObject({ kind: 'stop', instanceId: instance, outcome: 'accepted' });
    expect((await fleet('operations', 'list', '--kind', 'stop')).out).toContain(JSON.parse(stopped.out).id);
  });
});

describe('an operation that is watched', () => {
  test('is shown as it goes, by events, and ends with 0 when it has succeeded', async () => {
    const seen: Promise<unknown>[] = [];
    const watched = await run(['instances', 'stop', instance, '--watch'], as('admin'), {
      onProgress(line) {
        if (seen.length === 0) seen.push(change(`state = 'waiting', step = 'drain', waiting_for = 'the pods'`));
        if (seen.length === 1 && line.includes('drain')) seen.push(change(`state = 'succeeded', finished_at = now()`));
      },
    });
    await Promise.all(seen);
    expect(watched).toMatchObject({ code: 0, out: `The stop of ${instance} is done.` });
    expect(watched.progress.at(-1)).toMatch(/^stop \d+ s: drain, the pods$/);
  });

  test('ends with 1 when it has failed, with what to do', async () => {
    const { id } = JSON.parse((await fleet('instances', 'stop', instance, '--json')).out);
    await change(`state = 'failed', error_code = 'timeout', error_text = 'Too slow.', finished_at = now()`);
    const watched = await fleet('operations', 'watch', id);
    expect(watched.code).toBe(1);
    expect(watched.out).toBe(
      `The stop of ${instance} failed: Too slow. (timeout). Go on with it: fleet operations retry ${id}`,
    );
  });

  test('that does not end in time is told as it is', async () => {
    const stopped = await fleet('instances', 'stop', instance, '--watch', '--wait-seconds', '0');
    expect(stopped).toMatchObject({ code: 0, out: expect.stringContaining('is queued. Watch it: ') });
  });
});

describe('the exit code', () => {
  test('is 4 for what the API refuses, with the remedy', async () => {
    const missing = await fleet('instances', 'show', testInstanceId(9));
    expect(missing).toMatchObject({ code: 4, out: '', errors: expect.stringContaining('"list"') });
    const strange = await run(['instances', 'list', '--json'], { ...as('admin'), FLEET_TOKEN: `x${tokens.admin}` });
    expect(strange).toMatchObject({ code: 4, errors: expect.stringContaining('Check FLEET_TOKEN') });
    expect(JSON.parse(strange.out)).toMatchObject({ error: { code: 'unauthenticated' } });
    expect((await run(['instances', 'terminate', instance, '--yes'], as('support'))).code).toBe(4);
  });

  test('is 2 for a wrong call, whoever finds it', async () => {
    for (const args of [
      ['instances'],
      ['instances', 'drop'],
      ['instances', 'show'],
      ['instances', 'list', '--colour', 'blue'],
      ['instances', 'list', '--limit', '101'],
      ['completion', 'fish'],
    ]) {
      expect({ args, ...(await fleet(...args)) }).toMatchObject({ args, code: 2, out: '' });
    }
    expect((await fleet('instances', 'list', '--limit', '101')).errors).toContain('limit');
    expect(await fleet('instances', '--help')).toMatchObject({ code: 0, out: expect.stringContaining('terminate') });
  });

  test('is 3 when nobody is there, or somebody else', async () => {
    const nobody = { ...as('admin'), FLEET_URL: 'http://127.0.0.1:9' };
    const unreached = await run(['instances', 'list'], nobody);
    expect(unreached).toMatchObject({ code: 3, errors: expect.stringContaining('127.0.0.1:9 is not reached') });
    const other = createServer((_request, response) => response.writeHead(502).end('<html>'));
    await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    expect(await run(['instances', 'list'], { ...nobody, FLEET_URL: url })).toMatchObject({
      code: 3,
      errors: expect.stringContaining('FLEET_URL'),
    });
    expect((await run(['doctor'], { ...nobody, FLEET_URL: url })).code).toBe(3);
    other.close();
  });
});

describe('the settings file', () => {
  const write = async (mode: number, content: unknown = { url: api().url, token: tokens.admin }) => {
    const path = settingsFile({ HOME: home });
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, JSON.stringify(content));
    await chmod(path, mode);
    return path;
  };

  test('is taken with mode 600, and refused where others may read it', async () => {
    await write(0o600);
    expect((await run(['instances', 'list'], { HOME: home })).code).toBe(0);
    const path = await write(0o640);
    const refused = await run(['instances', 'list'], { HOME: home });
    expect(refused).toMatchObject({ code: 2, errors: expect.stringContaining(`chmod 600 ${path}`) });
    await rm(path);
    expect((await run(['instances', 'list'], { HOME: home })).errors).toContain('set FLEET_URL');
  });

  test('gives its token to its own URL only', async () => {
    const path = await write(0o600);
    const elsewhere = await run(['instances', 'list'], { HOME: home, FLEET_URL: 'http://127.0.0.1:9' });
    expect(elsewhere).toMatchObject({ code: 2, errors: expect.stringContaining('set FLEET_TOKEN') });
    await write(0o600, { url: api().url, token: tokens.admin, user: 'x' });
    expect((await run(['instances', 'list'], { HOME: home })).errors).toContain('not as it must be');
    await rm(path);
  });
});

test('backups are listed and made, and those of a server and of keys are shown', async () => {
  expect((await fleet('backups', 'list', instance)).out).toBe('There are no backups.');
  expect(await fleet('backups', 'show', instance)).toMatchObject({ code: 4 });
  expect((await fleet('backups', 'create', instance)).out).toContain(`The backup of ${instance} is accepted.`);
  expect((await fleet('db-servers', 'list')).out).toMatch(/^one +db\.example:5432 +tenants +active +0\/10/m);
  expect((await fleet('dead-letters', 'list')).out).toBe('There are no dead letters.');
  expect((await fleet('dead-letters', 'replay', '1')).code).toBe(4);
});

test('a key is made, listed without itself, and revoked', async () => {
  const made = JSON.parse((await fleet('keys', 'create', '--name', 'ci', '--days', '7', '--json')).out);
  expect(made).toMatchObject({ name: 'ci', role: 'admin', key: expect.stringMatching(/^fleet_/) });
  const listed = await fleet('keys', 'list');
  expect(listed.out).toMatch(new RegExp(`^${made.id} +ci +admin`, 'm'));
  expect(listed.out).not.toContain(made.key);
  expect(await fleet('keys', 'revoke', made.id, '--yes')).toMatchObject({ code: 0, out: `Key ${made.id} is revoked.` });
});

test('the doctor finds all well, or says what is not and what to do', async () => {
  const well = await fleet('doctor');
  expect(well.out.split('\n').map((line) => line.split(/ +/).slice(0, 2).join(' '))).toEqual([
    ...['ok API', 'ok token', 'ok records', 'ok Redis', 'ok broker'],
    ...['ok database', 'ok places', 'ok dead', 'ok clock'],
  ]);
  expect(well.code).toBe(0);
  const strange = await run(['doctor', '--json'], { ...as('admin'), FLEET_TOKEN: 'fleet_nobody' });
  expect(strange.code).toBe(4);
  const { findings } = JSON.parse(strange.out);
  expect(findings[1]).toMatchObject({ what: 'token', state: 'failed', remedy: expect.stringContaining('FLEET_TOKEN') });
});

test('completion knows the commands of both ways', async () => {
  const { code, out } = await fleet('completion', 'bash');
  expect(code).toBe(0);
  expect(out).toMatch(/'instances'\) words='list show create /);
  expect(out).toMatch(/'keys'\) words='.*revoke.*rewrap.*'/);
});
