import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { apiOfThisFile } from '#functions/api/served-api.fixture.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { runFleet } from '../main.ts';

const api = apiOfThisFile();
const instance = testInstanceId(1);

beforeAll(() => insertCatalogue(api().database));
beforeEach(async () => {
  await api().database.query('truncate operations, operation_steps, outbox, instances cascade');
  await insertTestInstance(api().database, instance);
  await api().database.query(`update instances set status = 'running', observed_generation = generation`);
});

type Manner = 'refuses' | 'cuts' | 'loses';

let between: Server | undefined;
afterEach(() => {
  between?.closeAllConnections();
  between?.close();
});

/**
 * Stands before the API. Of streams it takes away all (`refuses`), or what follows the first piece (`cuts`); of changes it
 * does the first and loses the answer (`loses`).
 */
async function stand(manner: Manner): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  let lost = 0;
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { method = 'GET', url = '/', headers } = incoming;
    asked.push(`${method} ${url.replace(/[0-9a-f-]{36}/, 'ID')}`);
    const isStream = url.endsWith('/events');
    if (isStream && manner === 'refuses') return void outgoing.writeHead(404).end();
    const body = await text(incoming);
    const { host: _host, 'content-length': _length, connection: _connection, ...kept } = headers;
    const answer = await request(`${api().url}${url}`, {
      method: method as 'GET',
      headers: kept,
      ...(body !== '' && { body }),
    });
    if (method === 'POST' && manner === 'loses' && lost === 0) {
      lost += 1;
      await answer.body.dump();
      return void incoming.socket.destroy();
    }
    outgoing.writeHead(answer.statusCode, { 'content-type': String(answer.headers['content-type']) });
    for await (const piece of answer.body) {
      outgoing.write(piece);
      if (isStream && manner === 'cuts') return void incoming.socket.destroy();
    }
    outgoing.end();
  };
  const server = createServer((incoming, outgoing) => void pass(incoming, outgoing));
  between = server;
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function fleet(url: string, args: readonly string[], onProgress: (line: string) => void = () => undefined) {
  const out: string[] = [];
  const code = await runFleet(
    args,
    { FLEET_URL: url, FLEET_TOKEN: 'customer' },
    {
      print: (line) => void out.push(line),
      printError: (line) => void out.push(line),
      progress: (line) => (line === undefined ? undefined : onProgress(line)),
    },
  );
  return { code, out: out.join('\n') };
}

test.each(['refuses', 'cuts'] as const)(
  'is watched by asking again where something between %s the events',
  async (manner) => {
    const { url, asked } = await stand(manner);
    const changes: Promise<unknown>[] = [];
    const watched = await fleet(url, ['instances', 'stop', instance, '--watch'], () => {
      if (changes.length > 0) return;
      changes.push(api().database.query(`update operations set state = 'succeeded', finished_at = now()`));
    });
    await Promise.all(changes);
    expect(watched).toEqual({ code: 0, out: `The stop of ${instance} is done.` });
    expect(asked).toContain('GET /v1/operations/ID/events');
    expect(asked.filter((one) => one === 'GET /v1/operations/ID').length).toBeGreaterThan(1);
  },
);

test('an answer that was lost is asked for again, and nothing is done twice', async () => {
  const { url, asked } = await stand('loses');
  const stopped = await fleet(url, ['instances', 'stop', instance]);
  expect(stopped).toMatchObject({ code: 0, out: expect.stringContaining('is accepted') });
  expect(asked).toEqual([`POST /v1/instances/${instance}/stop`, `POST /v1/instances/${instance}/stop`]);
  const { rows } = await api().database.query<{ id: string }>('select id from operations');
  expect(rows).toHaveLength(1);
});

test('a key that may have been made is not asked for twice', async () => {
  const { url, asked } = await stand('loses');
  const made = await fleet(url, ['keys', 'create']);
  expect(made).toMatchObject({ code: 3, out: expect.stringContaining('may have been done') });
  expect(asked).toEqual(['POST /v1/keys']);
});

test('the program of its own writes no colours into a pipe, and ends with the code', async () => {
  const program = fileURLToPath(new URL('../main.ts', import.meta.url));
  const start = async (...args: string[]) => {
    const child = spawn(process.execPath, [program, ...args], {
      env: { ...process.env, FLEET_URL: api().url, FLEET_TOKEN: 'customer' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve) => void child.on('exit', resolve));
    const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { out, errors, code };
  };
  const listed = await start('instances', 'list');
  expect(listed).toMatchObject({ code: 0, errors: '' });
  expect(listed.out).toContain('running');
  expect(listed.out).not.toContain('\u001b');
  expect(await start('dead-letters', 'list')).toMatchObject({ code: 4, out: '' });
});
