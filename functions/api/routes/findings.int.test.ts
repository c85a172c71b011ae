import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile, principalOf, testAccess } from '../served-api.fixture.ts';

const api = apiOfThisFile({
  access: () => ({
    ...testAccess,
    // an admin of one customer only, as no role is given: what the statements see to stands by itself
    authenticate: async (headers) =>
      headers['authorization'] === 'Bearer support'
        ? { ...principalOf('admin'), customerId: 'c-2' }
        : await testAccess.authenticate(headers),
  }),
});
const one = testInstanceId(1);
const other = testInstanceId(2);

async function find(kind: string, instance: string | null, change: Record<string, unknown> = {}): Promise<void> {
  const {
    place = 'cluster',
    shard = instance?.[0] ?? 'fleet',
    waitSeconds = null,
    repairs = 0,
    resolved = false,
  } = change;
  await api().database.query(
    `insert into findings (kind, subject, shard, place, instance_id, detail, repairs, next_repair_at, resolved_at)
     values ($1, $2, $3, $4, $5, 'seen', $6, now() + $7::integer * interval '1 second', case when $8 then now() end)`,
    [kind, change['subject'] ?? instance, shard, place, instance, repairs, waitSeconds, resolved],
  );
}
const plan = async (id = one) => (await api().ask('admin', 'GET', `/v1/instances/${id}/plan`)).body;

beforeAll(async () => {
  await insertCatalogue(api().database);
  await api().database.query(`insert into customers (id) values ('c-2')`);
});
beforeEach(async () => {
  const { database } = api();
  await database.query('truncate findings, operations, operation_steps, outbox, instances cascade');
  for (const id of [one, other]) await insertTestInstance(database, id);
  await database.query(`update instances set status = 'running', observed_generation = generation`);
  await database.query(`update reconcile_shards set passed_at = null, blind = '{}'`);
});

describe('the plan of an instance', () => {
  it('is nothing where nothing was found, and says when it was looked at and what could not be read', async () => {
    await find('service-missing', one, { resolved: true });
    expect(await plan()).toMatchObject({ instanceId: one, intent: 'none', findings: [], lookedAt: null, blind: [] });
    await api().database.query(`update reconcile_shards set passed_at = now(), blind = '{cluster}' where shard = $1`, [
      one[0],
    ]);
    expect(await plan()).toMatchObject({ lookedAt: expect.stringMatching(/Z$/), blind: ['cluster'] });
  });

  it('is a repair, after the wait where there was one before', async () => {
    await find('service-missing', one, { repairs: 2, waitSeconds: 3_600 });
    const waits = await plan();
    expect(waits).toMatchObject({ intent: 'repair', findings: [{ intent: 'repair', repairs: 2, severity: 'alarm' }] });
    expect(Date.parse(waits.notBefore)).toBeGreaterThan(Date.now());
    await find('ingress-missing', one);
    expect(await plan()).toMatchObject({ intent: 'repair', notBefore: null });
  });

  it('is nothing until a person has acted while a repair would fail, but for one that must be taken down', async () => {
    await find('service-missing', one);
    await find('volume-missing', one);
    expect(await plan()).toMatchObject({
      intent: 'blocked',
      findings: [
        { kind: 'service-missing', intent: 'blocked' },
        { kind: 'volume-missing', intent: 'report' },
      ],
    });
    await find('replicas-wrong', one);
    expect(await plan()).toMatchObject({ intent: 'repair' });
  });

  it('waits for an operation that is at work', async () => {
    const { body } = await api().ask('admin', 'POST', `/v1/instances/${one}/restart`);
    expect(await plan()).toMatchObject({ intent: 'wait', operationId: body.id, findings: [] });
    await find('service-missing', one);
    expect(await plan()).toMatchObject({ intent: 'wait', findings: [{ intent: 'wait' }] });
  });

  it('leaves no trace in the records', async () => {
    await find('service-missing', one);
    await plan();
    await api().ask('admin', 'GET', '/v1/findings');
    const { rows } = await api().database.query<{ count: number }>('select count(*)::integer from operations');
    expect(rows).toEqual([{ count: 0 }]);
  });
});

describe('findings', () => {
  it('are listed by what they are and whose, with what belongs to no instance', async () => {
    await find('service-missing', one);
    await find('database-oversized', other, { place: 'server one' });
    await find('orphan-database', 'zzzzzzzzzzzz', { subject: 'database odoo_zzzzzzzzzzzz on server one' });
    const all = await api().ask('admin', 'GET', '/v1/findings?sort=firstSeenAt&total=true');
    expect(all.body).toMatchObject({
      total: 3,
      items: [{ intent: 'repair' }, { intent: 'report', place: 'server one' }, { intent: 'quarantine' }],
    });
    const listed = async (query: string) =>
      (await api().ask('admin', 'GET', `/v1/findings?${query}`)).body.items.map(({ kind }: { kind: string }) => kind);
    expect(await listed('severity=alarm')).toEqual(['service-missing']);
    expect(await listed('kind=database-oversized,orphan-database&sort=firstSeenAt')).toHaveLength(2);
    expect(await listed(`instance=${other}`)).toEqual(['database-oversized']);
    const first = await api().ask('admin', 'GET', '/v1/findings?limit=2');
    const rest = await api().ask('admin', 'GET', `/v1/findings?limit=2&cursor=${first.body.next}`);
    expect([...first.body.items, ...rest.body.items]).toHaveLength(3);
  });

  it('are for those who run the fleet, and of another customer there are none', async () => {
    await find('service-missing', one);
    for (const path of ['/v1/findings', `/v1/instances/${one}/plan`]) {
      expect((await api().ask('customer', 'GET', path)).status).toBe(403);
      expect((await api().ask('nobody', 'GET', path)).status).toBe(401);
    }
    expect((await api().ask('support', 'GET', '/v1/findings')).body.items).toEqual([]);
    expect((await api().ask('support', 'GET', `/v1/instances/${one}/plan`)).status).toBe(404);
    expect((await api().ask('admin', 'GET', `/v1/instances/${testInstanceId(9)}/plan`)).status).toBe(404);
  });

  it.each([
    ['kind=drop-all', 'query.kind.0'],
    ['severity=loud', 'query.severity'],
    ['instance=x', 'query.instance'],
    ['state=open', 'query.state'],
  ])('by %s are refused, with the name of what is wrong', async (query, field) => {
    const { status, body } = await api().ask('admin', 'GET', `/v1/findings?${query}`);
    expect([status, body.errors[0].field]).toEqual([400, field]);
  });
});
