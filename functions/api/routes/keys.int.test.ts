import { beforeAll, describe, expect, it } from 'vitest';
import { apiKeyRecords } from '#shared/adapters/postgres/api-keys.ts';
import { type Authenticator, openAuthenticator } from '#shared/runtime/access/authenticate.ts';
import { keysPerCustomer } from '#shared/runtime/access/mint-key.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile, testAccess } from '../served-api.fixture.ts';

let access: Authenticator;
const troubles: unknown[] = [];

/** Real keys; every other bearer is a caller of tests. */
const api = apiOfThisFile({
  access: ({ database }) => {
    access = openAuthenticator({
      keys: apiKeyRecords(database),
      verifyToken: (token) => testAccess.authenticate({ authorization: `Bearer ${token}` }),
      onTrouble: (failure) => troubles.push(failure),
    });
    return { ...access, limit: testAccess.limit };
  },
  ports: () => ({ forgetKey: (id) => access.forget(id) }),
});

beforeAll(async () => {
  await insertCatalogue(api().database);
  await api().database.query("insert into customers (id) values ('c-2'), ('c-3'), ('c-4')");
});

const make = (caller: Parameters<ReturnType<typeof api>['ask']>[0], body: object) =>
  api().ask(caller, 'POST', '/v1/keys', { body });
const askWith = async (key: string, path: string, method = 'GET') => {
  const answer = await fetch(`${api().url}${path}`, { method, headers: { authorization: `Bearer ${key}` } });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
};

describe('an API key', () => {
  it('is told once, and does what its scopes say', async () => {
    const made = await make('customer', { name: 'ci', scopes: ['keys:read'] });
    expect(made).toMatchObject({
      status: 201,
      body: { role: 'customer', customer: 'c-1', createdBy: 'user:test-customer' },
    });
    expect(made.headers.get('cache-control')).toContain('no-store');
    const { key, id } = made.body;
    const path = `/v1/keys/${id}`;
    expect(made.headers.get('location')).toBe(path);
    const shown = await askWith(key, path);
    expect(shown).toMatchObject({ status: 200, body: { id, name: 'ci', scopes: ['keys:read'] } });
    expect(JSON.stringify(shown.body)).not.toContain(key.slice(-20));
    expect((await askWith(key, '/v1/instances')).status).toBe(403);
    expect((await askWith(`${key.slice(0, -1)}${key.endsWith('A') ? 'E' : 'A'}`, path)).status).toBe(401);
  });

  it('is nowhere in the records as it is shown, and its use is noted', async () => {
    const { body } = await make('customer', { name: 'kept' });
    await askWith(body.key, '/v1/keys');
    const secret = body.key.slice(-43);
    const { rows } = await api().database.query<{ text: string; used: boolean }>(
      `select k::text || coalesce((select string_agg(a::text, '') from audit a), '') as text,
         last_used_at is not null as used
       from api_keys k where id = $1`,
      [body.id],
    );
    expect(rows[0]?.used).toBe(true);
    expect(rows[0]?.text).not.toContain(secret);
    expect(rows[0]?.text).toContain('key.created');
    expect(troubles).toEqual([]);
  });

  it('is refused once it is revoked; revoking it again changes nothing', async () => {
    const { body } = await make('customer', { name: 'short-lived' });
    expect((await askWith(body.key, '/v1/keys')).status).toBe(200);
    for (let count = 0; count < 2; count += 1) {
      expect((await api().ask('customer', 'DELETE', `/v1/keys/${body.id}`)).status).toBe(204);
    }
    expect((await askWith(body.key, '/v1/keys')).status).toBe(401);
    const { rows } = await api().database.query(
      "select 1 from audit where action = 'key.revoked' and detail ->> 'key' = $1",
      [body.id],
    );
    expect(rows).toHaveLength(1);
    expect((await api().ask('customer', 'GET', `/v1/keys/${body.id}`)).body.revokedAt).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it('makes none that outlives it, and takes its copies with it', async () => {
    const makeBy = async (key: string) => {
      const answer = await fetch(`${api().url}/v1/keys`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'copy', expiresInDays: 365 }),
      });
      return (await answer.json()) as { id: string; key: string; expiresAt: string };
    };
    const first = (await make('customer', { name: 'first', expiresInDays: 2 })).body;
    const copy = await makeBy(first.key);
    const copyOfCopy = await makeBy(copy.key);
    expect([copy.expiresAt, copyOfCopy.expiresAt]).toEqual([first.expiresAt, first.expiresAt]);
    await api().ask('customer', 'DELETE', `/v1/keys/${first.id}`);
    for (const { key } of [first, copy, copyOfCopy]) expect((await askWith(key, '/v1/keys')).status).toBe(401);
  });

  it('made for somebody else outlives the revocation of the admin’s key that made it', async () => {
    const admins = (await make('admin', { name: 'tool' })).body;
    const answer = await fetch(`${api().url}/v1/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admins.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'for c-2', role: 'customer', customer: 'c-2' }),
    });
    const { key } = (await answer.json()) as { key: string };
    await api().ask('admin', 'DELETE', `/v1/keys/${admins.id}`);
    expect((await askWith(admins.key, '/v1/keys')).status).toBe(401);
    expect((await askWith(key, '/v1/keys')).status).toBe(200);
  });

  it('may revoke itself', async () => {
    const { body } = await make('customer', { name: 'self' });
    expect((await askWith(body.key, `/v1/keys/${body.id}`, 'DELETE')).status).toBe(204);
    expect((await askWith(body.key, '/v1/keys')).status).toBe(401);
  });

  it('of another customer is as if it were not there', async () => {
    const { body } = await make('customer:c-2', { name: 'theirs' });
    const missing = await api().ask('customer', 'GET', '/v1/keys/aaaaaaaaaaaaaaaa');
    for (const method of ['GET', 'DELETE']) {
      const answer = await api().ask('customer', method, `/v1/keys/${body.id}`);
      expect([answer.status, answer.body.detail]).toEqual([404, missing.body.detail]);
    }
    const list = await api().ask('customer', 'GET', '/v1/keys?customer=c-2');
    expect(list.body.items).toEqual([]);
    expect((await askWith(body.key, '/v1/keys')).status).toBe(200);
  });

  it('is made by nobody with more than he has', async () => {
    const narrow = await make('customer', { name: 'narrow', scopes: ['keys:write', 'keys:read'] });
    const wide = await fetch(`${api().url}/v1/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${narrow.body.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'wide', scopes: ['instances:write'] }),
    });
    expect([wide.status, await wide.json()]).toMatchObject([403, { errors: [{ field: 'body.scopes' }] }]);
    expect(await make('customer', { name: 'x', role: 'admin' })).toMatchObject({ status: 403 });
    expect(await make('customer', { name: 'x', customer: 'c-2' })).toMatchObject({ status: 403 });
    expect((await make('support', { name: 'x' })).status).toBe(403);
  });

  it('of a program for one customer opens nothing of the fleet', async () => {
    const made = await make('admin', { name: 'program', role: 'service', customer: 'c-2' });
    expect(made).toMatchObject({ status: 201, body: { role: 'service', customer: 'c-2' } });
    for (const path of ['/v1/dead-events', '/v1/customers', '/v1/db-servers'])
      expect((await askWith(made.body.key, path)).status).toBe(403);
    // also when the row says otherwise
    await api().database.query("update api_keys set scopes = scopes || '{admin:read}'::text[] where id = $1", [
      made.body.id,
    ]);
    const records = apiKeyRecords(api().database);
    const afresh = openAuthenticator({ keys: records, verifyToken: undefined, onTrouble: () => undefined });
    const principal = await afresh.authenticate({ authorization: `Bearer ${made.body.key}` });
    expect(principal.scopes).not.toContain('admin:read');
  });

  it('of any customer is made by an admin, who sees all of them', async () => {
    const made = await make('admin', { name: 'for c-3', role: 'customer', customer: 'c-3' });
    expect(made).toMatchObject({ status: 201, body: { customer: 'c-3' } });
    const { body } = await api().ask('admin', 'GET', '/v1/keys?customer=c-3&total=true');
    expect(body).toMatchObject({ items: [{ id: made.body.id, customer: 'c-3' }], total: 1 });
    expect(await make('admin', { name: 'x', role: 'customer', customer: 'nobody' })).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'body.customer' }] },
    });
  });

  it.each([
    [{ name: '' }, 'body.name'],
    [{ name: 'a\nb' }, 'body.name'],
    [{ name: 'x', scopes: [] }, 'body.scopes'],
    [{ name: 'x', scopes: ['world:write'] }, 'body.scopes.0'],
    [{ name: 'x', expiresInDays: 0 }, 'body.expiresInDays'],
    [{ name: 'x', expiresInDays: 366 }, 'body.expiresInDays'],
    [{ name: 'x', secret: 'mine' }, 'body.secret'],
  ])('asked for with %j is refused, naming the field', async (body, field) => {
    expect(await make('customer', body)).toMatchObject({ status: 400, body: { errors: [{ field }] } });
  });

  it('ends when it says', async () => {
    const { body } = await make('customer', { name: 'ending', expiresInDays: 1 });
    await api().database.query('update api_keys set expires_at = clock_timestamp() where id = $1', [body.id]);
    expect(await askWith(body.key, '/v1/keys')).toMatchObject({
      status: 401,
      body: { detail: expect.stringContaining('expired') },
    });
  });

  it('is one of fifty at most, also when many are asked for at once', async () => {
    const { rows } = await api().database.query<{ count: number }>(
      "select count(*) from api_keys where customer_id = 'c-4'",
    );
    expect(rows[0]?.count).toBe(0);
    const answers: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      const made = await Promise.all(Array.from({ length: 10 }, () => make('customer:c-4', { name: 'many' })));
      answers.push(...made.map(({ status }) => status));
    }
    expect(answers.filter((status) => status === 201)).toHaveLength(keysPerCustomer);
    expect(answers.filter((status) => status === 409)).toHaveLength(10);
  });
});

describe('customers', () => {
  it('and their quotas are for those who run the fleet', async () => {
    const set = await api().ask('admin', 'PUT', '/v1/customers/c-9', { body: { quota: 7 } });
    expect(set).toMatchObject({ status: 200, body: { id: 'c-9', quota: 7, instances: 0 } });
    expect((await api().ask('support', 'GET', '/v1/customers/c-9')).body.quota).toBe(7);
    expect((await api().ask('support', 'PUT', '/v1/customers/c-9', { body: { quota: 8 } })).status).toBe(403);
    expect((await api().ask('customer', 'GET', '/v1/customers/c-1')).status).toBe(403);
    expect((await api().ask('admin', 'GET', '/v1/customers/c-none')).status).toBe(404);
    const { body } = await api().ask('admin', 'GET', '/v1/customers?sort=id&limit=2');
    expect(body.items.map(({ id }: { id: string }) => id)).toEqual(['c-1', 'c-2']);
    const { rows } = await api().database.query("select actor, detail from audit where action = 'customer.quota-set'");
    expect(rows).toEqual([{ actor: 'user:test-admin', detail: { customer: 'c-9', quota: 7 } }]);
  });

  it.each([
    ['c-9', { quota: -1 }, 'body.quota'],
    ['c-9', { quota: 1.5 }, 'body.quota'],
    ['c-9', {}, 'body.quota'],
    ['a%20b', { quota: 1 }, 'path.id'],
  ])('%s with %j are refused, naming the field', async (id, body, field) => {
    const answer = await api().ask('admin', 'PUT', `/v1/customers/${id}`, { body });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ field }] } });
  });
});
