import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';

const api = apiOfThisFile();

beforeAll(() => insertCatalogue(api().database));
beforeEach(async () => {
  await api().database.query(
    'truncate operations, operation_steps, outbox, instances, suspensions, idempotency_keys cascade',
  );
  await api().database.query('update customers set quota = 1000');
});

const wanted = (name: string) => ({ name, plan: 'small', owner: { email: 'owner@acme.example' } });

async function rows<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await api().database.query<Row>(text, values)).rows;
}

/** A running instance of c-1. */
async function made(name: string): Promise<string> {
  const { body } = await api().ask('customer', 'POST', '/v1/instances', { body: wanted(name) });
  await api().database.query(`update operations set state = 'succeeded' where instance_id = $1`, [body.instanceId]);
  await api().database.query(
    `update instances set status = 'running', observed_generation = generation where id = $1`,
    [body.instanceId],
  );
  return body.instanceId as string;
}

describe('a request for an instance', () => {
  test('is answered with a committed operation, and its function is told of it', async () => {
    const { status, body, headers } = await api().ask('customer', 'POST', '/v1/instances', { body: wanted('acme') });
    expect([status, headers.get('location'), headers.get('retry-after')]).toEqual([
      202,
      `/v1/operations/${body.id}`,
      '1',
    ]);
    expect(body).toMatchObject({ kind: 'provision', outcome: 'accepted' });
    expect(await rows('select instance_id, kind, state, requested_by from operations')).toEqual([
      { instance_id: body.instanceId, kind: 'provision', state: 'queued', requested_by: 'user:test-customer' },
    ]);
    expect(await rows('select customer_id, host from instances')).toEqual([
      { customer_id: 'c-1', host: 'acme.odoo.example' },
    ]);
    const told = await rows<{ type: string; extensions: object }>(
      'select type, extensions from outbox order by sequence',
    );
    expect(told.map(({ type }) => type)).toEqual([
      'dev.odoofleet.instance.provision.accepted',
      'dev.odoofleet.operation.advance',
    ]);
    expect(told[1]?.extensions).toMatchObject({ opkind: 'provision', operationid: body.id });
    expect(await rows('select actor, action from audit where operation_id = $1', [body.id])).toEqual([
      { actor: 'user:test-customer', action: 'provision.requested' },
    ]);
  });

  test('under the same key is answered as the first time, and done once', async () => {
    const options = { body: wanted('acme'), headers: { 'idempotency-key': randomUUID() } };
    const first = await api().ask('customer', 'POST', '/v1/instances', options);
    const second = await api().ask('customer', 'POST', '/v1/instances', options);
    expect([second.status, second.body, second.headers.get('idempotency-replayed')]).toEqual([202, first.body, 'true']);
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    expect(await rows('select id from operations')).toHaveLength(1);
  });

  test('twenty times at once under one key is one instance', async () => {
    const options = { body: wanted('acme'), headers: { 'idempotency-key': randomUUID() } };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => api().ask('customer', 'POST', '/v1/instances', options)),
    );
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await rows('select id from instances')).toHaveLength(1);
  });

  test('under a key that stands for another one is refused', async () => {
    const headers = { 'idempotency-key': 'order-1' };
    await api().ask('customer', 'POST', '/v1/instances', { body: wanted('acme'), headers });
    const other = await api().ask('customer', 'POST', '/v1/instances', { body: wanted('other'), headers });
    expect(other).toMatchObject({ status: 422, body: { errors: [{ field: 'header.idempotency-key' }] } });
    const elsewhere = await api().ask('customer:c-2', 'POST', '/v1/instances', { body: wanted('other'), headers });
    expect(elsewhere.status).toBe(422);
    expect(await rows('select id from instances')).toHaveLength(1);
  });

  test('under a key of the same caller for another customer is refused: its answer is not for him', async () => {
    const options = { body: wanted('acme'), headers: { 'idempotency-key': 'order-1' } };
    await api().ask('customer', 'POST', '/v1/instances', options);
    const other = await api().ask('customer:c-2', 'POST', '/v1/instances', options);
    expect(other).toMatchObject({ status: 422, body: { errors: [{ field: 'header.idempotency-key' }] } });
    expect(other.text).not.toContain('instanceId');
  });

  test('that was refused may be repeated under its key when nothing is in its way any more', async () => {
    await api().database.query('update customers set quota = 0');
    const options = { body: wanted('acme'), headers: { 'idempotency-key': 'order-2' } };
    expect(await api().ask('customer', 'POST', '/v1/instances', options)).toMatchObject({
      status: 409,
      body: { code: 'quota-exceeded' },
    });
    await api().database.query('update customers set quota = 1');
    expect((await api().ask('customer', 'POST', '/v1/instances', options)).status).toBe(202);
  });

  test('fifty times at once with a quota of ten makes ten', async () => {
    await api().database.query('update customers set quota = 10');
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        api().ask('customer', 'POST', '/v1/instances', { body: wanted(`acme-${index}`) }),
      ),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(10);
    expect(statuses.filter((status) => status === 409)).toHaveLength(40);
    expect(await rows('select id from instances')).toHaveLength(10);
  });

  test('for another customer is the platform’s to make, and must say for whom', async () => {
    const body = { ...wanted('acme'), customer: 'c-2' };
    expect((await api().ask('customer', 'POST', '/v1/instances', { body })).status).toBe(403);
    expect((await api().ask('admin', 'POST', '/v1/instances', { body })).status).toBe(202);
    expect(await api().ask('admin', 'POST', '/v1/instances', { body: wanted('other') })).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'body.customer' }] },
    });
  });

  test.each([
    ['name', { name: 'Not a name' }],
    ['plan', { plan: 'gigantic' }],
    ['owner.email', { owner: { email: 'nobody' } }],
    ['colour', { colour: 'blue' }],
  ])('with a wrong %s is refused and names it', async (field, wrong) => {
    const answer = await api().ask('customer', 'POST', '/v1/instances', { body: { ...wanted('acme'), ...wrong } });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ field: `body.${field}` }] } });
    expect(await rows('select id from instances')).toHaveLength(0);
  });
});

describe('a change', () => {
  test('of settings is written with the restart that brings it about', async () => {
    const id = await made('acme');
    const { status, body } = await api().ask('customer', 'PATCH', `/v1/instances/${id}`, {
      body: { settings: { transient_age_limit: 3 } },
    });
    expect([status, body.operation.kind]).toEqual([202, 'restart']);
    const [row] = await rows<{ settings: object; generation: number }>('select settings, generation from instances');
    expect(row).toEqual({ settings: { transient_age_limit: 3 }, generation: body.generation });
    const again = await api().ask('customer', 'PATCH', `/v1/instances/${id}`, {
      body: { settings: { transient_age_limit: 3 } },
    });
    expect(again).toMatchObject({ status: 200, body: { operation: null } });
  });

  test('of the wanted state is a stop or a start', async () => {
    const id = await made('acme');
    const { body } = await api().ask('customer', 'PATCH', `/v1/instances/${id}`, { body: { desiredState: 'stopped' } });
    expect(body.operation.kind).toBe('stop');
    expect(await rows('select desired_state from instances')).toEqual([{ desired_state: 'stopped' }]);
  });

  test('of a generation that is gone changes nothing, in whatever way it is asked for', async () => {
    const id = await made('acme');
    const [now] = await rows<{ generation: number }>('select generation from instances');
    const old = { 'if-match': `"${(now?.generation ?? 0) - 1}"` };
    const path = `/v1/instances/${id}`;
    const patched = await api().ask('customer', 'PATCH', path, { body: { desiredState: 'stopped' }, headers: old });
    expect(patched).toMatchObject({ status: 412, body: { errors: [{ field: 'header.if-match' }] } });
    expect((await api().ask('customer', 'DELETE', path, { headers: old })).status).toBe(412);
    expect((await api().ask('customer', 'POST', `${path}/stop`, { headers: old })).status).toBe(412);
    expect(await rows(`select id from operations where kind <> 'provision'`)).toHaveLength(0);
    const seen = { 'if-match': `"g${now?.generation}.QFx9-gzip"` };
    expect((await api().ask('customer', 'DELETE', path, { headers: seen })).status).toBe(202);
    expect((await api().ask('customer', 'DELETE', path, { headers: { 'if-match': 'yes' } })).status).toBe(400);
  });

  test('whose operation is refused is not written', async () => {
    const id = await made('acme');
    await api().ask('customer', 'POST', `/v1/instances/${id}/stop`);
    const answer = await api().ask('customer', 'PATCH', `/v1/instances/${id}`, {
      body: { settings: { transient_age_limit: 3 } },
    });
    expect(answer.status).toBe(409);
    expect(await rows('select settings from instances')).toEqual([{ settings: {} }]);
  });

  test('of another customer’s instance is refused as if there were none, and writes nothing', async () => {
    const id = await made('acme');
    const before = await rows('select count(*) from audit');
    const absent = 'aaaaaaaaaaaa';
    for (const [method, tail, body] of [
      ['PATCH', '', { desiredState: 'stopped' }],
      ['DELETE', '', undefined],
      ['POST', '/stop', {}],
      ['POST', '/clone', { name: 'copy' }],
    ] as const) {
      const ask = (of: string) =>
        api().ask('customer:c-2', method, `/v1/instances/${of}${tail}`, body === undefined ? {} : { body });
      const [theirs, none] = [await ask(id), await ask(absent)];
      expect([theirs.status, none.status]).toEqual([404, 404]);
      expect(theirs.body.detail.replace(id, absent)).toBe(none.body.detail);
    }
    expect(await rows('select count(*) from audit')).toEqual(before);
    expect(await rows(`select id from operations where kind <> 'provision'`)).toHaveLength(0);
  });
});
