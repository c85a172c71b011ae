import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DnsServer, startDnsServer } from '#shared/adapters/dns/dns-server.fixture.ts';
import { openDomainResolver } from '#shared/adapters/dns/resolver.ts';
import { readInstance } from '#shared/adapters/postgres/instance-records.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';

let dns: DnsServer;
beforeAll(async () => {
  dns = await startDnsServer();
});
afterAll(() => dns.close());

/** Long, except where no answer comes. */
const patienceMs = () => ([...dns.records.values()].some((one) => typeof one === 'string') ? 300 : 10_000);

const api = apiOfThisFile({
  ports: () => ({
    resolver: {
      // the address is known in tests only
      texts: (name) => openDomainResolver({ servers: [dns.address], timeoutMs: patienceMs(), tries: 1 }).texts(name),
    },
  }),
});

beforeAll(async () => {
  await insertCatalogue(api().database);
  await api().database.query("insert into customers (id) values ('c-2')");
});

let number = 0;
let id: string;
beforeEach(async () => {
  id = await newInstance();
});

async function newInstance(customer = 'c-1'): Promise<string> {
  number += 1;
  const made = testInstanceId(number);
  await insertTestInstance(api().database, made);
  await api().database.query('update instances set customer_id = $2 where id = $1', [made, customer]);
  return made;
}

type Who = 'customer' | 'customer:c-2' | 'support' | 'admin';
const add = (host: unknown, { to = id, by = 'customer' as Who } = {}) =>
  api().ask(by, 'POST', `/v1/instances/${to}/domains`, { body: { host } });
const verify = (host: string, { to = id, by = 'customer' as Who } = {}) =>
  api().ask(by, 'POST', `/v1/instances/${to}/domains/${host}/verify`);

/** Publishes what the answer says. */
function publish({ name, value }: { name: string; value: string }): void {
  dns.records.set(name, [['v=spf1 -all'], [value]]);
}

async function proven(host: string, options: { to?: string; by?: Who } = {}) {
  publish((await add(host, options)).body.record);
  return await verify(host, options);
}

const domainsInRecord = async (instance = id) => (await readInstance(api().database, instance)).instance.domains;

describe('a host of a customer', () => {
  it('leads to the instance once a DNS record has proven it, and not before', async () => {
    const asked = await add('Shop.Acme.COM.');
    expect(asked).toMatchObject({
      status: 201,
      body: {
        host: 'shop.acme.com',
        state: 'unverified',
        record: {
          type: 'TXT',
          name: '_odoo-fleet.shop.acme.com',
          value: expect.stringMatching(/^odoo-fleet=[a-z2-7]{32}$/),
        },
        target: `n-${id}.odoo.example`,
        verifiedAt: null,
      },
    });
    const refused = await verify('shop.acme.com');
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toContain(asked.body.record.value);
    expect(await domainsInRecord()).toEqual([]);
    publish(asked.body.record);
    expect(await verify('shop.acme.com')).toMatchObject({ status: 200, body: { state: 'verified' } });
    expect(await domainsInRecord()).toEqual(['shop.acme.com']);
    const { rows } = await api().database.query<{ action: string; actor: string }>(
      "select action, actor from audit where instance_id = $1 and action like 'domain.%' order by sequence",
      [id],
    );
    expect(rows.map(({ action }) => action)).toEqual(['domain.added', 'domain.verified']);
  });

  it('is looked for by the tick at once, when it is proven and when it is taken away', async () => {
    const shard = id.slice(0, 1);
    const later = async () => {
      const text = "update reconcile_shards set due_at = clock_timestamp() + interval '1 hour' where shard = $1";
      await api().database.query(text, [shard]);
    };
    const isDue = async () => {
      const text = 'select due_at <= clock_timestamp() as due from reconcile_shards where shard = $1';
      return (await api().database.query<{ due: boolean }>(text, [shard])).rows[0]?.due;
    };
    await later();
    const asked = await add('tick.acme.com');
    expect(await isDue()).toBe(false);
    publish(asked.body.record);
    await verify('tick.acme.com');
    expect(await isDue()).toBe(true);
    await later();
    const path = `/v1/instances/${id}/domains/tick.acme.com`;
    expect((await api().ask('customer', 'DELETE', path)).status).toBe(204);
    expect(await isDue()).toBe(true);
    expect(await domainsInRecord()).toEqual([]);
    expect((await api().ask('customer', 'DELETE', path)).status).toBe(404);
  });

  it('that is asked for again has the same proof; removed and asked for anew, another', async () => {
    const first = await add('again.acme.com');
    const second = await add('again.acme.com');
    expect([second.status, second.body]).toEqual([200, first.body]);
    await api().ask('customer', 'DELETE', `/v1/instances/${id}/domains/again.acme.com`);
    const anew = await add('again.acme.com');
    expect(anew.body.record.value).toMatch(/^odoo-fleet=/);
    expect(anew.body.record.value).not.toBe(first.body.record.value);
  });

  it('that is proven is not looked for again: a record that is gone later takes nothing away', async () => {
    await proven('stays.acme.com');
    dns.records.delete('_odoo-fleet.stays.acme.com');
    const before = dns.asked.length;
    expect((await verify('stays.acme.com')).status).toBe(200);
    expect(dns.asked.length).toBe(before);
  });

  it.each([
    ['', 'invalid-request'],
    ['acme', 'invalid-request'],
    ['*.acme.com', 'invalid-request'],
    ['10.0.0.1', 'invalid-request'],
    ['acme.com/../x', 'invalid-request'],
    ['a\nb.com', 'invalid-request'],
    [7, 'invalid-request'],
    ['api.odoo.example', 'name-reserved'],
    ['odoo.example', 'name-reserved'],
    ['db.svc.cluster.local', 'name-reserved'],
  ])('%j is refused, naming the field', async (host, code) => {
    const answer = await add(host);
    expect(answer).toMatchObject({ status: 400, body: { code, errors: [{ field: 'body.host' }] } });
  });

  it('is no way to an instance of another customer', async () => {
    const theirs = await newInstance('c-2');
    const missing = await api().ask('customer', 'GET', '/v1/instances/aaaaaaaaaaaa/domains');
    const answers = [
      await api().ask('customer', 'GET', `/v1/instances/${theirs}/domains`),
      await add('mine.acme.com', { to: theirs }),
      await verify('mine.acme.com', { to: theirs }),
      await api().ask('customer', 'DELETE', `/v1/instances/${theirs}/domains/mine.acme.com`),
    ];
    for (const { status, body } of answers) expect([status, body.detail]).toEqual([404, missing.body.detail]);
  });

  it('is changed by customers and admins, and only shown to support', async () => {
    await add('seen.acme.com');
    const { status, body } = await api().ask('support', 'GET', `/v1/instances/${id}/domains`);
    expect([status, body.items.length]).toEqual([200, 1]);
    expect((await add('x.acme.com', { by: 'support' })).status).toBe(403);
    expect((await add('x.acme.com', { by: 'admin' })).status).toBe(201);
  });

  it('is one of twenty at most, also when many are asked for at once', async () => {
    const hosts = Array.from({ length: 25 }, (_one, index) => `h${index}.many.com`);
    const statuses = (await Promise.all(hosts.map((host) => add(host)))).map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(20);
    expect(statuses.filter((status) => status === 409)).toHaveLength(5);
  });

  it('does not lead to what is terminated', async () => {
    const asked = await add('late.acme.com');
    publish(asked.body.record);
    await api().database.query(
      `update instances set desired_state = 'terminated', desired_before = 'running', terminated_at = now(),
         purge_after = now() + interval '1 day' where id = $1`,
      [id],
    );
    expect((await verify('late.acme.com')).body.code).toBe('terminated');
    expect((await add('other.acme.com')).body.code).toBe('terminated');
  });
});

describe('one host has one owner', () => {
  it('who proved it first; asking for it alone keeps nobody from it', async () => {
    const theirs = await newInstance('c-2');
    expect((await add('contested.com')).status).toBe(201);
    expect((await proven('contested.com', { to: theirs, by: 'customer:c-2' })).status).toBe(200);
    const [record] = [...(dns.records.get('_odoo-fleet.contested.com') ?? [])].slice(-1) as string[][];
    const { record: mine } = (await add('contested.com')).body;
    dns.records.set(mine.name, [record ?? [], [mine.value]]);
    expect(await verify('contested.com')).toMatchObject({ status: 409, body: { code: 'host-taken' } });
    expect([await domainsInRecord(), await domainsInRecord(theirs)]).toEqual([[], ['contested.com']]);
  });

  it('also when two prove it at once', async () => {
    const theirs = await newInstance('c-2');
    const [one, other] = [await add('race.com'), await add('race.com', { to: theirs, by: 'customer:c-2' })];
    dns.records.set('_odoo-fleet.race.com', [[one.body.record.value], [other.body.record.value]]);
    const answers = await Promise.all([verify('race.com'), verify('race.com', { to: theirs, by: 'customer:c-2' })]);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    expect([...(await domainsInRecord()), ...(await domainsInRecord(theirs))]).toEqual(['race.com']);
  });

  it('until somebody else proves it and his own proof is gone: the domain has changed hands', async () => {
    const theirs = await newInstance('c-2');
    await proven('sold.com', { to: theirs, by: 'customer:c-2' });
    expect((await proven('sold.com')).status).toBe(200);
    expect([await domainsInRecord(), await domainsInRecord(theirs)]).toEqual([['sold.com'], []]);
    const text = "select instance_id from audit where action = 'domain.lost' and detail ->> 'host' = 'sold.com'";
    expect((await api().database.query(text)).rows).toEqual([{ instance_id: theirs }]);
  });

  it('until he removes it, or his instance is terminated', async () => {
    const theirs = await newInstance('c-2');
    await proven('moving.com', { to: theirs, by: 'customer:c-2' });
    await api().database.query(
      `update instances set desired_state = 'terminated', desired_before = 'running', terminated_at = now(),
         purge_after = now() + interval '1 day' where id = $1`,
      [theirs],
    );
    expect((await proven('moving.com')).status).toBe(200);
    expect(await domainsInRecord(theirs)).toEqual([]);
  });

  it('and the proof of one instance proves nothing for another', async () => {
    const second = await newInstance();
    await proven('first.com');
    await add('first.com', { to: second });
    expect((await verify('first.com', { to: second })).body.code).toBe('not-allowed');
  });
});

describe('DNS that does not answer', () => {
  it.each(['refuse', 'silence', 'garbage'] as const)('(%s) refuses nobody for good', async (how) => {
    const asked = await add(`${how}.acme.com`);
    dns.records.set(asked.body.record.name, how);
    expect((await verify(`${how}.acme.com`)).status).toBe(503);
    publish(asked.body.record);
    expect((await verify(`${how}.acme.com`)).status).toBe(200);
  });
});
