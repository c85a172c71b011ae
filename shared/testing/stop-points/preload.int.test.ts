import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { request } from 'undici';
import { afterAll, beforeAll, beforeEach, expect, inject, test, vi } from 'vitest';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import type { Stop } from './counter.ts';
import { makeStopFolder, readPoints, stopPointEnvironment } from './folder.ts';

const program = fileURLToPath(new URL('./calls.fixture.ts', import.meta.url));
const { host, port, superuser, superuserPassword } = inject('servers').postgres;
const database = 'stop_points';
const url = `postgres://${superuser}:${superuserPassword}@${host}:${port}/${database}`;

let folder: string;
let client: Client;
let received: string[] = [];
const target = createServer((incoming, outgoing) => void take(incoming, outgoing));

async function take(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  // a caller that is killed half-way breaks its connection
  for await (const chunk of incoming.on('error', () => undefined)) chunks.push(chunk as Buffer);
  received.push(Buffer.concat(chunks).toString());
  outgoing.end('thanks');
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stop-points-'));
  await once(target.listen(0, '127.0.0.1'), 'listening');
  const admin = new Client({ connectionString: url.replace(/stop_points$/, 'postgres') });
  await admin.connect();
  await admin.query(`create database ${database}`);
  await admin.end();
  client = new Client({ connectionString: url });
  await client.connect();
  await client.query('create table marks (mark text)');
});
afterAll(async () => {
  await client.end();
  target.close();
  await removeTree(folder);
});
beforeEach(async () => {
  received = [];
  await client.query('truncate marks');
});

/** Runs the program, asks it for one call as an event does, and tells how it ended. */
async function call(path: '/http' | '/sql', stop?: Stop) {
  const place = await mkdtemp(join(folder, 'run-'));
  await makeStopFolder(place, ...(stop === undefined ? [] : [stop]));
  const child = spawn(process.execPath, [program], {
    env: {
      PATH: process.env['PATH'],
      TARGET: `http://127.0.0.1:${(target.address() as AddressInfo).port}/things?secret=1`,
      DATABASE: url,
      ...stopPointEnvironment(place),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  const headers = { 'ce-type': 'a.type' };
  const answer = await request(`http://127.0.0.1:${String(text).trim()}${path}`, { headers }).catch(() => undefined);
  await answer?.body.dump();
  if (answer !== undefined) child.kill('SIGTERM');
  const [, signal] = await exited;
  return { points: await readPoints(place), wasKilled: signal === 'SIGKILL' };
}

const stopAt = (name: string): Stop => ({ name, occurrence: 1, signal: 'SIGKILL' });
const marks = async () => (await client.query('select mark from marks')).rowCount;

test('a call is counted before it is sent, after it was sent and after its answer, without what it says', async () => {
  const http = await call('/http');
  expect(http.wasKilled).toBe(false);
  expect(http.points.map(({ name, detail }) => [name, detail])).toEqual([
    ['POST /things before', undefined],
    ['POST /things sent', undefined],
    ['POST /things answered', 'status 200'],
  ]);
  const sql = await call('/sql');
  expect(sql.points.map(({ name, detail }) => [name, detail])).toEqual([
    ['stop_points: INSERT marks before', undefined],
    ['stop_points: INSERT marks sent', undefined],
    ['stop_points: INSERT marks answered', 'rows 1'],
  ]);
});

test('killed before a call, nothing of it has left the process', async () => {
  expect(await call('/http', stopAt('POST /things before'))).toMatchObject({ wasKilled: true });
  expect(received).toEqual([]);
  expect(await call('/sql', stopAt('stop_points: INSERT marks before'))).toMatchObject({ wasKilled: true });
  expect(await marks()).toBe(0);
});

test('killed after a call was sent, it takes place', async () => {
  expect(await call('/http', stopAt('POST /things sent'))).toMatchObject({ wasKilled: true });
  await vi.waitFor(() => expect(received).toEqual(['whole']), 15_000);
  const sql = await call('/sql', stopAt('stop_points: INSERT marks sent'));
  expect(sql.wasKilled).toBe(true);
  await vi.waitFor(async () => expect(await marks()).toBe(1), 15_000);
});

test('killed after the answer, the point is noted with it', async () => {
  const { points, wasKilled } = await call('/sql', stopAt('stop_points: INSERT marks answered'));
  expect(wasKilled).toBe(true);
  expect(points.at(-1)).toMatchObject({ name: 'stop_points: INSERT marks answered', detail: 'rows 1' });
  expect(await marks()).toBe(1);
});
