import * as v from 'valibot';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';
import { instanceDetailBody } from '../views/instance.ts';

const api = apiOfThisFile();
const ids = Array.from({ length: 25 }, (_, at) => testInstanceId(at));

beforeAll(async () => {
  const { database } = api();
  await insertCatalogue(database);
  await insertServer(database, { id: 'pg-1', maxInstances: 10 });
  await database.query(`insert into customers (id) values ('c-2')`);
  for (const id of ids) await insertTestInstance(database, id);
  await database.query(`update instances set customer_id = 'c-2' where id = $1`, [ids[24]]);
  await database.query(`update instances set status = 'running' where id = any($1)`, [ids.slice(0, 5)]);
  // pairs have the same time: the id tells them apart
  await database.query(
    `update instances set created_at = timestamptz '2027-02-01 10:00:00.000001Z'
       + (position(right(id, 1) in 'abcdefghijklmnopqrstuvwxyz234567') / 2) * interval '1 microsecond'`,
  );
});

const list = (query: string, caller: Parameters<ReturnType<typeof api>['ask']>[0] = 'admin') =>
  api().ask(caller, 'GET', `/v1/instances${query}`);

describe('the list of instances', () => {
  it('goes on by the cursor without gaps or doubles, up and down', async () => {
    for (const sort of ['createdAt', '-createdAt', 'name', '-name']) {
      const seen: string[] = [];
      let next: string | null = '';
      while (next !== null) {
        const { status, body } = await list(`?limit=4&sort=${sort}${next === '' ? '' : `&cursor=${next}`}`);
        expect(status).toBe(200);
        for (const { id } of body.items) seen.push(id);
        next = body.next;
      }
      expect([...seen].sort()).toEqual([...ids].sort());
    }
  });

  it('has pages, 20 rows unless asked otherwise, and a total on request', async () => {
    const first = await list('?total=true');
    const second = await list('?page=2&total=true');
    expect([first.body.items.length, second.body.items.length, first.body.total]).toEqual([20, 5, 25]);
    expect(Object.keys((await list('')).body).sort()).toEqual(['items', 'next']);
    expect((await list('?status=running&total=true&limit=2')).body).toMatchObject({ total: 5 });
  });

  it('is filtered before it is paged', async () => {
    const { body } = await list('?status=running,stopped&limit=3&sort=createdAt');
    expect(body.items.map(({ id }: { id: string }) => id)).toEqual(ids.slice(0, 3));
    expect((await list(`?search=n-${ids[7]}`)).body.items).toHaveLength(1);
    expect((await list('?search=odoo.example&customer=c-2')).body.items).toHaveLength(1);
    expect((await list('?plan=large')).body.items).toEqual([]);
  });

  it('shows a customer his own and nothing else', async () => {
    expect((await list('?total=true', 'customer')).body.total).toBe(24);
    expect((await list('?total=true&customer=c-2', 'customer')).body.total).toBe(0);
    expect((await list('?total=true', 'customer:c-2')).body.total).toBe(1);
  });

  it.each([
    ['?limit=0', 'query.limit'],
    ['?limit=101', 'query.limit'],
    ['?limit=ten', 'query.limit'],
    ['?page=0', 'query.page'],
    ['?sort=status', 'query.sort'],
    ['?status=asleep', 'query.status.0'],
    ['?search=%27%3B--', 'query.search'],
    ['?cursor=AAAA', 'query.cursor'],
    ['?page=2&cursor=AAAA', 'query.page'],
    ['?limit=1&limit=2', 'query.limit'],
    ['?colour=red', 'query.colour'],
    ['?fields=id,password', 'query.fields'],
  ])('refuses %s and names the field', async (query, field) => {
    const { status, body } = await list(query);
    expect([status, body.errors[0].field]).toEqual([400, field]);
  });

  it('takes no cursor of another order, or one made up', async () => {
    const { body } = await list('?limit=2&sort=name');
    expect((await list(`?limit=2&sort=-name&cursor=${body.next}`)).status).toBe(400);
    const forged = Buffer.from(JSON.stringify(['createdAt', `'; drop table instances`, 'x'])).toString('base64url');
    expect((await list(`?sort=createdAt&cursor=${forged}`)).status).toBe(400);
  });
});

describe('an instance', () => {
  const get = (id: string, headers = {}, caller: Parameters<ReturnType<typeof api>['ask']>[0] = 'admin') =>
    api().ask(caller, 'GET', `/v1/instances/${id}`, { headers });

  beforeEach(() => api().ports.cache.invalidateKind('instance'));

  it('is shown as its schema says, with the database server for the platform only', async () => {
    await api().database.query(`update instances set db_server_id = 'pg-1' where id = $1`, [ids[1]]);
    const own = await get(ids[1] ?? '', {}, 'customer');
    expect(own.status).toBe(200);
    expect(v.safeParse(instanceDetailBody, own.body).issues).toBeUndefined();
    expect(Object.keys(own.body)).not.toContain('databaseServer');
    expect((await get(ids[1] ?? '')).body.databaseServer).toBe('pg-1');
  });

  it('of somebody else is as if there were none, also when it is in the cache', async () => {
    const other = ids[24] ?? '';
    const missing = await get(testInstanceId(9_999), {}, 'customer');
    for (const _ of [1, 2]) {
      await get(other);
      const foreign = await get(other, {}, 'customer');
      expect(foreign.status).toBe(404);
      expect({ ...foreign.body, requestId: '' }).toEqual({ ...missing.body, requestId: '' });
    }
  });

  it('comes from the cache the second time, and says so truly', async () => {
    const words = async () => (await get(ids[2] ?? '')).headers.get('x-cache');
    expect([await words(), await words()]).toEqual(['MISS', 'HIT']);
    await api().ports.cache.invalidate('instance', ids[2] ?? '');
    expect([await words(), await words()]).toEqual(['MISS', 'HIT']);
  });

  it('is read anew as long as something is at work on it', async () => {
    const { database } = api();
    const id = ids[3] ?? '';
    await insertOperation(id);
    expect((await get(id)).headers.get('x-cache')).toBe('MISS');
    const second = await get(id);
    expect([second.headers.get('x-cache'), second.body.operation.kind]).toEqual(['BYPASS', 'stop']);
    await database.query(`update operations set state = 'succeeded', finished_at = now() where instance_id = $1`, [id]);
    expect((await get(id)).body.operation).toBeNull();
    expect((await get(id)).headers.get('x-cache')).toBe('MISS');
  });

  it('has a validator that begins with its generation and changes with what is shown', async () => {
    const id = ids[4] ?? '';
    const first = await get(id);
    const tag = first.headers.get('etag') ?? '';
    expect(tag).toMatch(/^"g1\./);
    const again = await get(id, { 'if-none-match': tag });
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', tag]);
    await api().database.query(`update instances set generation = 2 where id = $1`, [id]);
    await api().ports.cache.invalidate('instance', id);
    const changed = await get(id, { 'if-none-match': `"other", ${tag}` });
    expect([changed.status, changed.headers.get('etag')?.slice(0, 4)]).toEqual([200, '"g2.']);
  });

  it('is left to the fields that are asked for', async () => {
    expect((await get(`${ids[5]}?fields=id,status`)).body).toEqual({ id: ids[5], status: 'creating' });
  });

  it.each(['ABC', 'abc', '..%2F..%2Fetc', '%00', "abcdefghijk'"])('is not looked for by %s', async (id) => {
    expect(await get(id)).toMatchObject({ status: 400, body: { errors: [{ field: 'path.id' }] } });
  });
});

describe('operations', () => {
  it('are shown with their steps, and ask to be polled until they are over', async () => {
    const id = await insertOperation(ids[6] ?? '');
    const { body, headers } = await api().ask('customer', 'GET', `/v1/operations/${id}`);
    expect(body).toMatchObject({
      id,
      kind: 'stop',
      state: 'running',
      steps: [{ step: 'scale-down', outcome: 'done' }],
    });
    expect(headers.get('retry-after')).toBe('2');
    expect((await api().ask('customer:c-2', 'GET', `/v1/operations/${id}`)).status).toBe(404);
    const listed = await api().ask(
      'customer',
      'GET',
      `/v1/operations?instance=${ids[6]}&state=running,queued&kind=stop`,
    );
    expect(listed.body.items).toMatchObject([{ id }]);
    expect((await api().ask('customer:c-2', 'GET', '/v1/operations')).body.items).toEqual([]);
  });
});

let operations = 0;

async function insertOperation(instance: string): Promise<string> {
  operations += 1;
  const id = `0198c0de-0000-7000-8000-${String(operations).padStart(12, '0')}`;
  await api().database.query(
    `insert into operations (id, instance_id, kind, definition_version, state, step, deadline, idempotency_key, requested_by,
       cause, request, started_at)
     values ($1::uuid, $2, 'stop', 1, 'running', 'scale-down', now() + interval '1 hour', $1::text, 'user:x', 'e-1', '{}', now())`,
    [id, instance],
  );
  await api().database.query(
    `insert into operation_steps (operation_id, step, attempt, fence, finished_at, outcome)
     values ($1, 'scale-down', 1, 1, now(), 'done')`,
    [id],
  );
  return id;
}
