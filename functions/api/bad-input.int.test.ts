import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import type { Route } from './route.ts';
import { routesOf } from './routes.ts';
import { apiOfThisFile } from './served-api.fixture.ts';

const api = apiOfThisFile();
const id = testInstanceId(1);
/** Nothing is asked of it. */
const spared = testInstanceId(2);

beforeAll(async () => {
  await insertCatalogue(api().database);
  for (const one of [id, spared]) await insertTestInstance(api().database, one);
});

type Sent = { method: string; path: string; body?: string | Buffer; headers?: Record<string, string> };

/** As it is written, without the care that fetch takes of a path. */
function send({ method, path, body, headers = {} }: Sent): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const options = { method, path, headers: { authorization: 'Bearer admin', ...type, ...headers } };
    const asked = request(`${api().url}/`, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

const fieldOf = (text: string): string => JSON.parse(text).errors[0].field as string;

/** Refused with a field that says where, or taken as the harmless text it is; never a fault of ours. */
async function expectHarmless(what: string, sent: Sent): Promise<void> {
  const { status, text } = await send(sent);
  expect([what, status, status < 500 ? '' : text]).toEqual([what, expect.toSatisfy((seen: number) => seen < 500), '']);
  if (status < 400) return;
  expect([what, fieldOf(text)]).toEqual([what, expect.stringMatching(/^(body|query|path|header|method|request)/)]);
}

/** `slash` and the like are what others would read into the text. */
const tricks: Readonly<Record<string, string>> = {
  'a NUL byte': 'a\u0000b',
  'half of a pair of surrogates': 'a\ud800b',
  'text that is written backwards': 'a\u202eb',
  'letters that look like others': '\u0430cme',
  'a letter of several code points': 'e\u0301\u0301\u0301'.repeat(20),
  'wide digits': '\uff11\uff12',
  'nothing that can be seen': '\u200b\u2060',
  'two lines': 'a\r\nx-evil: 1',
  'a path upwards': '../../../../etc/passwd',
  'an end of a statement': `x'; drop table instances; --`,
  'a quoted name': 'a"; drop database x; --',
  'a program': '$(id)`id`',
  'a name of every object': '__proto__',
  'thousands of letters': 'x'.repeat(6_000),
};

/** The example with one of its leaves in another way, for each leaf. */
function* withEachLeaf(example: unknown, put: unknown): Generator<unknown> {
  if (Array.isArray(example)) {
    for (const [at, value] of example.entries())
      for (const changed of withEachLeaf(value, put)) yield example.with(at, changed);
  } else if (typeof example === 'object' && example !== null) {
    for (const [name, value] of Object.entries(example))
      for (const changed of withEachLeaf(value, put)) yield { ...example, [name]: changed };
  } else yield put;
}

const pathOf = (path: string, value = id) => path.replaceAll(/\{[a-zA-Z]+\}/g, value);
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const routes = () => routesOf(api().ports);
const taking = () => routes().filter(({ bodyExample }) => bodyExample !== undefined);

describe('no route has a fault over', () => {
  it.each(Object.entries(tricks))('%s in a body', async (what, text) => {
    for (const { operationId, method, path, bodyExample } of taking()) {
      for (const body of withEachLeaf(bodyExample, text))
        await expectHarmless(`${operationId} ${what}`, { method, path: pathOf(path), body: JSON.stringify(body) });
    }
  });

  it.each(Object.entries(tricks))('%s in its path', async (what, text) => {
    const value = encodeURIComponent(text.toWellFormed());
    const named = routes().filter(({ path }) => path.includes('{'));
    for (const { operationId, method, path } of named)
      await expectHarmless(`${operationId} ${what}`, { method, path: pathOf(path, value) });
  });

  it.each(Object.entries(tricks))('%s in a query', async (what, text) => {
    const value = encodeURIComponent(text.toWellFormed());
    for (const { operationId, method, path, query } of routes()) {
      for (const name of queryNames(query))
        await expectHarmless(`${operationId} ${what}`, { method, path: `${pathOf(path)}?${name}=${value}` });
    }
  });

  it('JSON that is nested fifty thousand deep, anywhere', async () => {
    for (const { operationId, method, path, bodyExample } of taking()) {
      for (const body of withEachLeaf(bodyExample, '@')) {
        const text = JSON.stringify(body).replace('"@"', nested(50_000));
        await expectHarmless(operationId, { method, path: pathOf(path), body: text });
      }
      await expectHarmless(operationId, { method, path: pathOf(path), body: nested(500_000) });
    }
  });

  it.each(['null', '[]', '7', '"x"', '{"a":1,"a":2}', '{', '', '\ufeff{}', 'NaN'])('the body %s', async (body) => {
    for (const { operationId, method, path } of taking())
      await expectHarmless(operationId, { method, path: pathOf(path), body });
  });
});

function queryNames(query: Route['query'] | undefined): string[] {
  const { entries = {} } = (query ?? {}) as { entries?: Record<string, unknown> };
  return [...Object.keys(entries), 'fields', 'never-heard-of'];
}

const detail = `/v1/instances/${id}`;

describe('what is asked for in a doubtful way is refused, and the field is named:', () => {
  it.each([
    ['more at once than there may be', 'GET', '/v1/instances?limit=101', {}, 400, 'query.limit'],
    ['a limit without end', 'GET', '/v1/instances?limit=1e9', {}, 400, 'query.limit'],
    ['a limit below nothing', 'GET', '/v1/instances?limit=-1', {}, 400, 'query.limit'],
    ['a limit given twice', 'GET', '/v1/instances?limit=1&limit=2', {}, 400, 'query.limit'],
    ['a limit given twice in other letters', 'GET', '/v1/instances?limit=1&%6cimit=2', {}, 400, 'query.limit'],
    ['a parameter nobody knows', 'GET', '/v1/instances?debug=1', {}, 400, 'query.debug'],
    ['a cursor of somebody’s own', 'GET', '/v1/instances?cursor=AAAA', {}, 400, 'query.cursor'],
    ['a key with a blank', 'POST', `${detail}/stop`, { 'idempotency-key': 'a b' }, 400, 'header.idempotency-key'],
    ['a tag that is none', 'POST', `${detail}/stop`, { 'if-match': 'W/x' }, 400, 'header.if-match'],
    ['no JSON', 'POST', `${detail}/stop`, { 'content-type': 'text/plain' }, 415, 'header.content-type'],
    ['a form', 'POST', `${detail}/stop`, { 'content-type': 'multipart/form-data' }, 415, 'header.content-type'],
    ['a packed body', 'POST', `${detail}/stop`, { 'content-encoding': 'gzip' }, 415, 'header.content-encoding'],
    ['another method', 'PUT', detail, {}, 405, 'method'],
    ['a method nobody knows', 'PROPFIND', detail, {}, 405, 'method'],
    ['a path upwards', 'GET', '/console/../../etc/passwd', {}, 404, 'path'],
    ['a path upwards in other letters', 'GET', '/console/..%2f..%2fetc%2fpasswd', {}, 400, 'path.file'],
    ['a path of another server', 'GET', '//evil.example/v1/instances', {}, 404, 'path'],
  ] as const)('%s', async (_what, method, path, headers, status, field) => {
    const body = method === 'GET' || method === 'PROPFIND' ? {} : { body: '{}' };
    const answer = await send({ method, path, headers, ...body });
    expect([answer.status, fieldOf(answer.text)]).toEqual([status, field]);
  });

  it('a bomb of a packed body, which is never unpacked', async () => {
    const body = gzipSync(Buffer.alloc(200 * 1024 * 1024, 0x20));
    const answer = await send({
      method: 'POST',
      path: `${detail}/stop`,
      body,
      headers: { 'content-encoding': 'gzip' },
    });
    expect([answer.status, fieldOf(answer.text)]).toEqual([415, 'header.content-encoding']);
  });
});

it.each(['x-http-method-override', 'x-http-method', 'x-method-override'])(
  'the header %s changes no method',
  async (name) => {
    const read = await send({ method: 'GET', path: `/v1/instances/${spared}`, headers: { [name]: 'DELETE' } });
    expect([read.status, JSON.parse(read.text).id]).toEqual([200, spared]);
    const changed = await send({ method: 'POST', path: '/v1/instances?_method=DELETE', body: '{}' });
    expect([changed.status, fieldOf(changed.text)]).toEqual([400, 'query._method']);
    const { rows } = await api().database.query(
      `select 1 from operations where kind = 'terminate' and instance_id = $1`,
      [spared],
    );
    expect(rows).toEqual([]);
  },
);
