import { describe, expect, it } from 'vitest';
import { ask, calls, get, good, limits, post, problemOf, raw, serveTestRoutes } from './app.fixture.ts';
import { nobody } from './route.ts';

serveTestRoutes();

describe('a request', () => {
  it('reaches its route as the schemas made it', async () => {
    const answer = await post(JSON.stringify({ name: 'x', size: 3 }), {}, '/v1/things/abc?limit=3');
    expect([answer.status, await answer.json()]).toEqual([200, { id: 'abc', limit: '3', name: 'x', size: 3 }]);
    expect(calls[0]?.principal.id).toBe('u-1');
  });

  it.each([
    ['{}', 'body.name', 'It is missing'],
    ['{"name":1}', 'body.name', 'Write string'],
    ['{"name":"x","colour":"red"}', 'body.colour', 'It is not known here'],
    ['{"name":"x","owner":{"email":5}}', 'body.owner.email', 'Write string'],
    ['{"name":"x","__proto__":{"a":1}}', 'body.__proto__', 'It is not known here'],
    ['[]', 'body.name', 'It is missing'],
    ['7', 'body', 'Write'],
    ['{"name":', 'body', 'It is no JSON'],
    ['', 'body', 'It is missing'],
    [Buffer.from([0x22, 0xff, 0x22]), 'body', 'It is no JSON in UTF-8'],
  ])('with the body %s is refused, and the field is named', async (body, field, text) => {
    const answer = await post(body);
    const { status, errors, requestId } = await problemOf(answer);
    expect([answer.status, status, errors[0].field]).toEqual([400, 400, field]);
    expect(errors[0].detail).toContain(text);
    expect(requestId).toBe(answer.headers.get('x-request-id'));
    expect(calls).toEqual([]);
  });

  it('is told all its mistakes at once', async () => {
    const { errors } = await problemOf(await post('{"size":"big","more":1}'));
    expect(errors.map(({ field }: { field: string }) => field).sort()).toEqual(['body.more', 'body.name', 'body.size']);
  });

  it.each([
    ['/v1/things/ABC', 'path.id'],
    ['/v1/things/..%2f..%2fetc%2fpasswd', 'path.id'],
    ['/v1/things/%00', 'path.id'],
    ['/v1/things/abc?limit=x', 'query.limit'],
    ['/v1/things/abc?limit=1&limit=2', 'query.limit'],
    ['/v1/things/abc?__proto__=1', 'query.__proto__'],
    ['/v1/things/abc?fields=name', 'query.fields'],
  ])('to %s is refused, and the field is named', async (path, field) => {
    const { errors } = await problemOf(await post('{"name":"x"}', {}, path));
    expect(errors[0].field).toBe(field);
  });

  it('may have a body of one mebibyte and not a byte more', async () => {
    const bodyOf = (bytes: number) => `{"name":"${'x'.repeat(bytes - 11)}"}`;
    expect((await post(bodyOf(1024 * 1024))).status).toBe(200);
    const larger = await post(bodyOf(1024 * 1024 + 1));
    expect([larger.status, (await problemOf(larger)).errors[0].field]).toEqual([413, 'body']);
  });

  it('must say that its body is JSON', async () => {
    const answer = await post('name=x', { 'content-type': 'application/x-www-form-urlencoded' });
    expect([answer.status, (await problemOf(answer)).errors[0].field]).toEqual([415, 'header.content-type']);
    expect((await post('{"name":"x"}', { 'content-type': 'application/merge-patch+json; charset=utf-8' })).status).toBe(
      200,
    );
  });

  it('is refused with too many or with doubtful headers', async () => {
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`x-${at}`, '1']));
    expect((await problemOf(await get('/v1/things', many))).errors[0].field).toBe('header');
    expect((await get('/v1/things', { 'x-long': 'x'.repeat(20_000) })).status).toBe(431);
    const twice = await raw(
      `GET /v1/things HTTP/1.1\r\nhost: x\r\nauthorization: Bearer good\r\nauthorization: Bearer weak\r\nconnection: close\r\n\r\n`,
    );
    expect(twice).toMatch(/^HTTP\/1.1 400 [\s\S]*header\.authorization/);
  });

  it('that comes too slowly is cut off', async () => {
    const answers = await Promise.all([
      raw('POST /v1/things/abc HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{'),
      raw('GET /v1/things HTTP/1.1\r\nhost: x\r\nx-slow: '),
    ]);
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 408 /);
  });

  it('without a host, or for another server, gets an answer all the same', async () => {
    expect(await raw('GET /v1/open HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 \d{3} /);
    expect(await raw('GET http://[ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 4\d\d /);
  });

  it('for nothing, or by another method, is told so', async () => {
    const nothing = await get('/v2/things');
    expect([nothing.status, (await problemOf(nothing)).errors[0].field]).toEqual([404, 'path']);
    const method = await ask('/v1/things', { method: 'DELETE', headers: good });
    expect([method.status, method.headers.get('allow'), (await problemOf(method)).status]).toEqual([
      405,
      'GET, HEAD',
      405,
    ]);
  });

  it('for the head of a thing gets no body', async () => {
    const head = await ask('/v1/things', { method: 'HEAD', headers: good });
    expect([head.status, await head.text(), head.headers.get('etag')]).toEqual([200, '', expect.any(String)]);
  });
});

describe('who asks', () => {
  it('must be known, must be allowed, and may not ask too often', async () => {
    const unknown = await ask('/v1/things');
    expect([unknown.status, unknown.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="odoo-fleet"']);
    expect((await problemOf(unknown)).errors[0].field).toBe('header.authorization');
    const weak = await get('/v1/things', { authorization: 'Bearer weak' });
    expect([weak.status, (await problemOf(weak)).detail]).toEqual([403, expect.stringContaining('instances:read')]);
    limits.answer = { isAllowed: false, limit: 100, remaining: 0, retryAfterMs: 12_300 };
    const often = await get('/v1/things');
    expect([often.status, often.headers.get('retry-after')]).toEqual([429, '13']);
  });

  it('as support may take nothing away', async () => {
    const remove = (authorization: string) => ask('/v1/removals', { method: 'POST', headers: { authorization } });
    expect([(await remove('Bearer support')).status, (await remove('Bearer good')).status]).toEqual([403, 204]);
  });

  it('may be limited by his address where anybody may ask', async () => {
    expect((await get('/v1/attempts')).status).toBe(200);
    expect((await get('/v1/attempts', { 'x-forwarded-for': '10.1.1.1, 10.1.1.2' })).status).toBe(200);
    expect((await get('/v1/attempts', { 'x-forwarded-for': '10.1.1.2, 10.1.1.1' })).status).toBe(429);
    expect((await get('/v1/attempts', { 'x-forwarded-for': 'x'.repeat(500) })).status).toBe(200);
  });

  it('is nobody where anybody may ask, whatever he sends', async () => {
    expect(await (await get('/v1/open')).json()).toEqual(nobody);
  });
});
