import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventFunctions } from '#shared/runtime/dead-letter/origin.ts';
import { readManifests } from '#shared/sandbox/manifests.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { post } from './world.fixture.ts';

const root = join(import.meta.dirname, '../..');
const made = databaseOfThisFile();
const database = platformOfThisFile(made);
let processes: ProcessGroup;
let folder: string;

beforeAll(async () => {
  processes = await openProcessGroup();
  folder = await mkdtemp(join(tmpdir(), 'dead-letter-'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
});
afterAll(async () => {
  await processes.stopAll();
  await rm(folder, { recursive: true });
});

const main = 'functions/dead-letter/main.ts';
const framework = 'node_modules/@google-cloud/functions-framework/build/src/main.js';

it.each([
  ['serve', [main]],
  ['functions-framework', [framework, '--target=dead-letter', `--source=${main}`]],
])('the program keeps dead letters under %s', async (name, args) => {
  const port = await freePort();
  await processes.start({
    name,
    command: process.execPath,
    args,
    cwd: root,
    env: {
      PORT: String(port),
      PATH: process.env['PATH'] ?? '',
      ...platformSettings(made(), join(folder, 'password')),
      BROKER_URL: 'http://127.0.0.1:1/',
      DEAD_LETTER_SPOOL_DIR: join(folder, 'object-store'),
      SOURCES_POLICY: 'open',
    },
    logFile: join(folder, `${name}.log`),
  });
  const url = `http://127.0.0.1:${port}/`;
  const attributes = { 'ce-knativeerrorcode': '-1', 'ce-knativeerrordest': 'http://provision/' };
  await expect.poll(() => post(url, name, attributes).catch(() => 0), { timeout: 45_000 }).toBe(204);
  const { statusCode, body } = await request(url, { method: 'POST', body: Buffer.from([0xff, 0]) });
  expect({ statusCode, text: await body.text() }).toEqual({ statusCode: 204, text: '' });
  // of a larger one the beginning is kept
  const large = await request(url, { method: 'POST', body: Buffer.alloc(2 * 1024 * 1024 + 1) });
  expect(large.statusCode).toBe(204);
  await large.body.dump();
  const beginnings = await database().query<{ size: number }>(
    'select length(body) as size from dead_events where not is_whole order by sequence desc limit 1',
  );
  expect(beginnings.rows[0]?.size).toBeLessThanOrEqual(2 * 1024 * 1024);
  const { rows } = await database().query<{ id: string | null; body: Buffer }>(
    'select id, body from dead_events order by sequence',
  );
  expect(rows).toContainEqual({ id: name, body: expect.any(Buffer) });
  expect(rows).toContainEqual({ id: null, body: Buffer.from([0xff, 0]) });
});

it('every subscriber of a Trigger is a function that dead letters may go straight back to, and nobody else', async () => {
  const { triggers } = await readManifests(join(root, 'knative/base'));
  const subscribers = new Set(triggers.map(({ subscriber }) => subscriber));
  expect([...eventFunctions].toSorted()).toEqual([...subscribers].toSorted());
  for (const { delivery } of triggers) expect(delivery.deadLetterSink).toBe('dead-letter');
});
