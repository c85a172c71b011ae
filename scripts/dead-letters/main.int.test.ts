import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { receive } from '#shared/adapters/eventing/receive.ts';
import { type DeadEvent, storeDeadEvent } from '#shared/adapters/postgres/dead-events.ts';
import type { Row } from '#shared/adapters/postgres/rows.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { runDeadLetters } from './main.ts';

const made = databaseOfThisFile();
const database = platformOfThisFile(made);
/** Plays the broker (`/broker`) and the functions. */
const received: { path: string; headers: IncomingHttpHeaders; body: Buffer }[] = [];
let status = 204;
const server = createServer((incoming, response) => {
  void buffer(incoming).then((body) => {
    received.push({ path: incoming.url ?? '', headers: incoming.headers, body });
    response.writeHead(status).end();
  });
});
let folder: string;
let place: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dead-letters-'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  place = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  received.length = 0;
  status = 204;
  await database().query('truncate dead_events');
});

async function call(line: string, more: Record<string, string | undefined> = {}) {
  const out: string[] = [];
  const problems: string[] = [];
  const env = {
    ...platformSettings(made(), join(folder, 'password')),
    BROKER_URL: `${place}/broker`,
    FUNCTION_URL: `${place}/{function}`,
    ...more,
  };
  const code = await runDeadLetters(line.split(' '), env, {
    print: (text) => out.push(text),
    printError: (text) => problems.push(text),
  });
  return { code, out: out.join('\n'), problems: problems.join('\n') };
}

const attributes = {
  specversion: '1.0',
  id: 'a',
  source: 'urn:billing',
  type: 't',
  knativeerrorcode: '503',
  knativebrokerttl: '254',
};
function letter(id: string, more: Partial<DeadEvent> = {}, origin: string | null = `${place}/provision/`): DeadEvent {
  return {
    id,
    source: 'urn:billing',
    type: 't',
    receivedBy: 'dead-letter',
    reasonCode: 'undelivered',
    reason: 'no answer',
    contentType: 'application/json',
    attributes: { ...attributes, id },
    body: Buffer.from('{"a": 1.0}'),
    undelivered: { origin, errorCode: 400, errorData: null, class: 'permanent' },
    ...more,
  };
}
const store = async (event: DeadEvent) => (await storeDeadEvent(database(), event)).sequence;
const rows = async () =>
  (await database().query<Row<'dead_events'>>('select * from dead_events order by sequence')).rows;
const audited = async () =>
  (await database().query<{ actor: string; action: string }>('select actor, action from audit order by sequence')).rows;

it('lists what is open, in columns and as JSON', async () => {
  expect(await call('list')).toEqual({ code: 0, out: 'There are none.', problems: '' });
  const number = await store(letter('a\u001b[2J'));
  expect((await call('list')).out).toMatch(/^NUMBER .*\n\d+ +waiting +permanent .* a\\u001b\[2J .*provision/);
  const { events } = JSON.parse((await call('list --json')).out) as { events: unknown[] };
  expect(events).toMatchObject([{ sequence: number, error_code: 400, body_bytes: 10, is_forgotten: false }]);
});

it('shows one with its body', async () => {
  const number = await store(letter('a'));
  const { code, out } = await call(`show ${number}`);
  expect(code).toBe(0);
  expect(out).toContain('{"a": 1.0}');
  expect(out).toMatch(/knativeerrorcode: +503/);
  expect(JSON.parse((await call(`show ${number} --json`)).out)).toMatchObject({ id: 'a', body: '{"a": 1.0}' });
  expect(await call('show 999999')).toMatchObject({ code: 1, problems: expect.stringMatching(/no dead event/) });
});

it('says what a replay would do, and does nothing', async () => {
  await store(letter('a'));
  await store(letter('b', {}, 'http://elsewhere.example/'));
  const { code, out, problems } = await call('replay --type t');
  expect(code).toBe(0);
  expect(out).toMatch(
    / a {2}would be sent: to origin http:.*\/provision\n.* b {2}would be sent: to broker http:.*\/broker/,
  );
  expect(problems).toMatch(/--yes/);
  expect(received).toEqual([]);
  expect(await rows()).toMatchObject([{ replays: 0 }, { replays: 0 }]);
});

it('sends an event as its publisher did, straight to its function, and writes down who did it', async () => {
  await store(letter('a'));
  expect(await call('replay --id a --by ada --yes')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/sent: its function/),
  });
  const [request] = received;
  if (request === undefined) throw new Error('nothing was received');
  expect(request.path).toBe('/provision');
  expect(request.body.toString()).toBe('{"a": 1.0}');
  const { event } = receive(request.headers, request.body);
  expect(event).toMatchObject({ id: 'a', source: 'urn:billing', type: 't', extensions: {}, data: { a: 1 } });
  expect(await rows()).toMatchObject([{ state: 'resolved', replays: 1 }]);
  expect(await audited()).toContainEqual({ actor: 'person ada', action: 'dead-event.replayed' });
});

it('sends to the broker when told to', async () => {
  await store(letter('a'));
  expect((await call('replay --all --to broker --yes')).code).toBe(0);
  expect(received.map(({ path }) => path)).toEqual(['/broker']);
  expect(await rows()).toMatchObject([{ state: 'replayed' }]);
});

it('sends what a function refused back to that function', async () => {
  const { undelivered: _, ...refused } = letter('a');
  await store({ ...refused, receivedBy: 'observe' });
  expect((await call('replay --all --to origin --yes')).code).toBe(0);
  expect(received.map(({ path }) => path)).toEqual(['/observe']);
});

it('leaves out what is no function of ours, what was cut, and what the inbox has forgotten unless forced', async () => {
  await store(letter('foreign', {}, 'http://elsewhere.example/'));
  await store(letter('cut', { isWhole: false }));
  await store(letter('old'));
  await database().query("update dead_events set received_at = now() - interval '90 days' where id = 'old'");
  const { code, out } = await call('replay --all --to origin --yes');
  expect(code).toBe(1);
  expect(out).toMatch(/foreign {2}left out: .*--to broker/);
  expect(out).toMatch(/cut {2}left out/);
  expect(out).toMatch(/old {2}left out: .*--force/);
  expect(received).toEqual([]);
  expect((await call('replay --id old --yes --force')).code).toBe(0);
  expect(received).toHaveLength(1);
});

it('says that it failed, and keeps the event open', async () => {
  await store(letter('a'));
  status = 503;
  expect(await call('replay --all --yes')).toMatchObject({ code: 1, out: expect.stringMatching(/failed: .*503/) });
  expect(await rows()).toMatchObject([{ state: 'waiting', last_error: 'origin answered with status 503' }]);
});

it('notes that a person has dealt with one', async () => {
  const number = await store(letter('a'));
  expect((await call(`resolve --number ${number}`)).out).toMatch(/would be resolved/);
  expect(await rows()).toMatchObject([{ state: 'waiting' }]);
  expect((await call(`resolve --number ${number} --yes --by ada`)).code).toBe(0);
  expect(await rows()).toMatchObject([{ state: 'resolved' }]);
  expect(await audited()).toContainEqual({ actor: 'person ada', action: 'dead-event.resolved' });
});

it('says when there are more', async () => {
  for (const id of ['a', 'b', 'c']) await store(letter(id));
  expect((await call('list --limit 2')).problems).toMatch(/more than 2/);
  expect((await call('list --limit 3')).problems).toBe('');
});

it('has its exit codes: 2 for wrong options and settings, 1 when the database does not answer', async () => {
  expect((await call('--help')).out).toMatch(/^Usage/);
  expect(await call('burn')).toMatchObject({ code: 2 });
  expect(await call('list', { PLATFORM_POSTGRES_HOST: undefined })).toMatchObject({ code: 2 });
  expect(await call('replay --all', { BROKER_URL: undefined })).toMatchObject({ code: 2 });
  expect(await call('list', { BROKER_URL: undefined })).toMatchObject({ code: 0 });
  const unreachable = await call('list --json', { PLATFORM_POSTGRES_PORT: '1' });
  expect(unreachable.code).toBe(1);
  expect(JSON.parse(unreachable.out)).toMatchObject({ error: { code: 'unavailable' } });
});
