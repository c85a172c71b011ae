import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { storeDeliveries } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { endpointsAtMost } from '#shared/adapters/postgres/webhook-endpoints.ts';
import { insertCatalogue, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile, type Caller } from '../served-api.fixture.ts';

const api = apiOfThisFile();
const instance = testInstanceId(1);
const hook = 'https://hooks.example.com/odoo';

beforeAll(async () => {
  await insertCatalogue(api().database);
});
beforeEach(async () => {
  await api().database.query('truncate webhook_endpoints, webhook_sequences, webhook_deliveries, webhook_attempts');
});

const ask = (
  method: string,
  path = '',
  options: { as?: Caller; body?: unknown; headers?: Record<string, string> } = {},
) => {
  const { as = 'customer', body, headers = {} } = options;
  return api().ask(as, method, `/v1/webhook-endpoints${path}`, { ...(body === undefined ? {} : { body }), headers });
};
async function make(body: object = {}, as: Caller = 'customer') {
  const made = await ask('POST', '', { as, body: { url: hook, ...body } });
  expect(made.status, made.text).toBe(201);
  return made.body;
}
async function tell(type = 'dev.odoofleet.instance.provisioned'): Promise<void> {
  const event = {
    id: randomUUID(),
    type,
    customerId: 'c-1',
    instanceId: instance,
    time: new Date(),
    data: { instance },
  };
  await storeDeliveries(api().database, event, { holds: false });
}
const actions = async (id: string) => {
  const { rows } = await api().database.query<{ action: string; actor: string }>(
    `select action, actor from audit where detail ->> 'endpoint' = $1 order by sequence`,
    [id],
  );
  return rows;
};

describe('a webhook endpoint', () => {
  it('is made with a secret that is told once', async () => {
    const made = await make({ description: 'Ours', types: ['dev.odoofleet.instance.backup.failed'] });
    expect(made).toMatchObject({ customer: 'c-1', url: hook, enabled: true, generation: 1 });
    expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const read = await ask('GET', `/${made.id}`);
    expect(read.body).toEqual({ ...made, secret: undefined });
    expect((await ask('GET')).body.items).toEqual([read.body]);
    const { rows } = await api().database.query<{ secret: string }>('select secret from webhook_endpoints');
    expect(rows[0]?.secret).toMatch(/^w1\./);
    expect(await actions(made.id)).toEqual([{ action: 'webhook-endpoint.created', actor: 'user:test-customer' }]);
  });

  it('is its customer’s: to another one it is not there', async () => {
    const { id } = await make();
    const as = 'customer:c-2';
    for (const [method, path, body] of [
      ['GET', `/${id}`],
      ['PATCH', `/${id}`, { enabled: false }],
      ['DELETE', `/${id}`],
      ['POST', `/${id}/rotate-secret`, {}],
      ['POST', `/${id}/replay`, { since: '2027-01-01T00:00:00Z' }],
      ['GET', `/${id}/deliveries`],
    ] as const) {
      const foreign = await ask(method, path, { as, body });
      const missing = await ask(method, path.replace(id, randomUUID()), { as, body });
      expect(foreign.status, `${method} ${path}`).toBe(404);
      expect(foreign.body.detail).toBe(missing.body.detail);
    }
    expect((await ask('GET', '', { as })).body.items).toEqual([]);
    expect((await ask('GET', '', { as: 'admin' })).body.items).toHaveLength(1);
  });

  it('is made by an admin for a customer he names, and by a customer for himself only', async () => {
    expect(await make({ customer: 'c-9' }, 'admin')).toMatchObject({ customer: 'c-9' });
    const nobodys = await ask('POST', '', { as: 'admin', body: { url: hook } });
    const anothers = await ask('POST', '', { body: { url: hook, customer: 'c-9' } });
    for (const { status, body } of [nobodys, anothers]) {
      expect(status).toBe(400);
      expect(body.errors[0].field).toBe('body.customer');
    }
    expect((await ask('POST', '', { as: 'support', body: { url: hook, customer: 'c-9' } })).status).toBe(403);
  });

  it.each([
    ['http://hooks.example.com/'],
    ['https://127.0.0.1/'],
    ['https://[::1]/'],
    ['https://provision.odoo-fleet.svc.cluster.local/'],
    ['https://hooks.example.com:6432/'],
  ])('cannot be at %s', async (url) => {
    const refused = await ask('POST', '', { body: { url } });
    expect(refused.status).toBe(400);
    expect(refused.body.errors[0].field).toBe('body.url');
    const { id } = await make();
    expect((await ask('PATCH', `/${id}`, { body: { url } })).status).toBe(400);
  });

  it('cannot ask for events that are ours', async () => {
    const refused = await ask('POST', '', { body: { url: hook, types: ['dev.odoofleet.operation.advance'] } });
    expect(refused.status).toBe(400);
    expect(refused.body.errors[0].field).toBe('body.types.0');
  });

  it('is one of ten, however many are made at once', async () => {
    const made = await Promise.all(
      Array.from({ length: endpointsAtMost + 5 }, () => ask('POST', '', { body: { url: hook } })),
    );
    expect(made.filter(({ status }) => status === 201)).toHaveLength(endpointsAtMost);
    expect(made.filter(({ status }) => status === 409)).toHaveLength(5);
  });

  it('is changed only by who has seen how it is', async () => {
    const { id } = await make();
    const { headers } = await ask('GET', `/${id}`);
    const seen = { 'if-match': headers.get('etag') ?? '' };
    const changed = await ask('PATCH', `/${id}`, { body: { description: 'New' }, headers: seen });
    expect(changed).toMatchObject({ status: 200, body: { description: 'New', url: hook, generation: 2 } });
    expect((await ask('PATCH', `/${id}`, { body: { description: 'Newer' }, headers: seen })).status).toBe(412);
    expect((await ask('DELETE', `/${id}`, { headers: seen })).status).toBe(412);
    expect((await ask('DELETE', `/${id}`)).status).toBe(204);
    expect((await ask('GET', `/${id}`)).status).toBe(404);
    const { rows } = await api().database.query('select secret from webhook_endpoints');
    expect(rows).toEqual([{ secret: null }]);
  });

  it('has two secrets for as long as is asked for', async () => {
    const { id, secret } = await make();
    const rotated = await ask('POST', `/${id}/rotate-secret`, { body: { overlapHours: 2 } });
    expect(rotated).toMatchObject({ status: 200, body: { id, previousSecretUntil: expect.any(String) } });
    expect(rotated.body.secret).toMatch(/^whsec_/);
    expect(rotated.body.secret).not.toBe(secret);
    expect(Date.parse(rotated.body.previousSecretUntil) - Date.now()).toBeLessThan(2.1 * 3_600_000);
    const leaked = await ask('POST', `/${id}/rotate-secret`, { body: { overlapHours: 0 } });
    expect(leaked.body.previousSecretUntil).toBeNull();
    expect((await ask('POST', `/${id}/rotate-secret`, { body: { overlapHours: 1_000 } })).status).toBe(400);
  });
});

describe('a delivery', () => {
  it('is listed with its number, and shown with its text', async () => {
    const { id } = await make();
    await tell();
    await tell('dev.odoofleet.instance.start.succeeded');
    const listed = await ask('GET', `/${id}/deliveries?sort=createdAt&total=true`);
    expect(listed.body).toMatchObject({
      items: [
        { instance, sequence: 1, state: 'waiting', attempts: 0 },
        { instance, sequence: 2 },
      ],
      total: 2,
    });
    const shown = await ask('GET', `/${id}/deliveries/${listed.body.items[0].id}`);
    expect(JSON.parse(shown.body.body)).toMatchObject({ sequence: 1, data: { instance } });
    expect(shown.body.tries).toEqual([]);
    const first = await ask('GET', `/${id}/deliveries?limit=1`);
    const rest = await ask('GET', `/${id}/deliveries?limit=1&cursor=${first.body.next}`);
    expect([...first.body.items, ...rest.body.items].map(({ sequence }) => sequence)).toEqual([2, 1]);
  });

  it('is sent again on demand, and not while the endpoint is disabled', async () => {
    const { id } = await make();
    await tell();
    await api().database.query(
      `update webhook_deliveries set state = 'succeeded', delivered_at = now(), next_attempt_at = null, attempts = 3`,
    );
    const [delivery] = (await ask('GET', `/${id}/deliveries?state=succeeded`)).body.items;
    const path = `/${id}/deliveries/${delivery.id}/redeliver`;
    expect(await ask('POST', path)).toMatchObject({ status: 202, body: { state: 'waiting', attempts: 0 } });
    expect((await ask('POST', path, { as: 'support' })).status).toBe(403);
    await ask('PATCH', `/${id}`, { body: { enabled: false } });
    expect((await ask('POST', path)).status).toBe(409);
    await tell();
    await ask('PATCH', `/${id}`, { body: { enabled: true } });
    const replayed = await ask('POST', `/${id}/replay`, { body: { since: '2020-01-01T00:00:00Z' } });
    expect(replayed).toMatchObject({ status: 202, body: { deliveries: 2 } });
    expect((await actions(id)).map(({ action }) => action)).toContain('webhook-endpoint.replayed');
  });
});
