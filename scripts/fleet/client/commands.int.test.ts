import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { insertCatalogue, insertServer, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { clientOfThisFile, tokens } from './client.fixture.ts';

const texts = new Map<string, string[]>();
const { api, run } = clientOfThisFile({
  ports: () => ({ resolver: { texts: async (name) => texts.get(name) ?? [] } }),
});
const instance = testInstanceId(1);

beforeAll(async () => {
  await insertCatalogue(api().database);
  await insertServer(api().database, { id: 'one', maxInstances: 10 });
});
beforeEach(async () => {
  await api().database.query('truncate operations, operation_steps, outbox, findings, instances cascade');
  await insertTestInstance(api().database, instance);
  await api().database.query(`update instances set status = 'running', observed_generation = generation`);
});

const fleetAs =
  (token: string) =>
  (...args: string[]) =>
    run(args, { HOME: '/nonexistent', FLEET_URL: api().url, FLEET_TOKEN: token });
const fleet = fleetAs(tokens.admin);
const support = fleetAs(tokens.support);
const json = async (...args: string[]) => {
  const { out, errors } = await fleet(...args, '--json');
  expect(errors).toBe('');
  return JSON.parse(out);
};

it('customers are shown with what they have, and given a quota by an admin alone', async () => {
  expect((await fleet('customers', 'list')).out).toMatch(/^c-1 +1 +\d+ +\S+Z$/m);
  expect((await fleet('customers', 'quota', 'c-1', '25')).out).toBe('c-1 may have 25 instances, and has 1.');
  expect(await json('customers', 'show', 'c-1')).toMatchObject({ id: 'c-1', quota: 25, instances: 1 });
  expect(await fleet('customers', 'quota', 'c-1', 'many')).toMatchObject({ code: 2, out: '' });
  expect((await fleet('customers', 'quota', 'c-1', '100001')).code).toBe(2);
  expect((await support('customers', 'quota', 'c-1', '1')).code).toBe(4);
  expect((await fleet('customers', 'show', 'nobody')).code).toBe(4);
});

it('a host is asked for, shown with its record, proven and taken away', async () => {
  const host = 'shop.acme.example';
  const added = await fleet('domains', 'add', instance, host);
  const [, name = '', value = ''] = /^ {2}(\S+)\. TXT "(.*)"$/m.exec(added.out) ?? [];
  expect([added.code, name]).toEqual([0, `_odoo-fleet.${host}`]);
  expect((await fleet('domains', 'show', instance, host)).out).toContain(value);
  expect((await fleet('domains', 'verify', instance, host)).code).toBe(4);
  texts.set(name, [value]);
  expect((await fleet('domains', 'verify', instance, host)).out).toContain('is proven');
  expect((await fleet('domains', 'list', instance)).out).toMatch(new RegExp(`^${host} +verified +\\S+Z`, 'm'));
  expect(await fleet('domains', 'remove', instance, host)).toMatchObject({ code: 2, out: '' });
  expect((await fleet('domains', 'remove', instance, host, '--yes')).code).toBe(0);
  expect((await fleet('domains', 'list', instance)).out).toBe('There are no hosts of its own.');
  expect((await fleet('domains', 'show', instance, host)).code).toBe(4);
});

describe('webhooks', () => {
  const url = 'https://hooks.acme.example/odoo';
  const make = () => json('webhooks', 'create', url, '--customer', 'c-1', '--description', 'ours');

  it('are made with a secret that is printed once, and rotated', async () => {
    const made = await fleet('webhooks', 'create', url, '--customer', 'c-1');
    expect(made.out).toMatch(/^whsec_\S+\nEndpoint [0-9a-f-]{36} is made\. The secret is not shown again/);
    const [, id = ''] = /Endpoint (\S+) is/.exec(made.out) ?? [];
    const listed = await fleet('webhooks', 'list', '--customer', 'c-1');
    expect(listed.out).toMatch(new RegExp(`^${id} +c-1 +active`, 'm'));
    expect(`${listed.out}${(await fleet('webhooks', 'show', id)).out}`).not.toContain('whsec_');
    const rotated = await fleet('webhooks', 'rotate-secret', id, '--overlap-hours', '2');
    expect(rotated.out).toMatch(/^whsec_\S+\nThe old secret counts until \S+Z\./);
    expect((await fleet('webhooks', 'rotate-secret', id, '--overlap-hours', '0', '--yes')).out).toContain('ends now');
    expect((await fleet('webhooks', 'rotate-secret', id, '--overlap-hours', 'two')).code).toBe(2);
  });

  it('are disabled, enabled and deleted, and say what they were told', async () => {
    const { id } = await make();
    expect((await fleet('webhooks', 'disable', id)).out).toBe(`Endpoint ${id} is disabled.`);
    expect((await fleet('webhooks', 'list')).out).toContain('disabled (customer)');
    expect((await fleet('webhooks', 'enable', id)).out).toBe(`Endpoint ${id} is active.`);
    expect((await fleet('webhooks', 'deliveries', id)).out).toBe('There are no deliveries.');
    expect((await fleet('webhooks', 'replay', id, '--since', '2020-01-01T00:00:00Z')).out).toMatch(/^0 deliveries/);
    expect(await fleet('webhooks', 'replay', id)).toMatchObject({
      code: 2,
      errors: expect.stringContaining('since'),
    });
    expect((await fleet('webhooks', 'redeliver', id, id)).code).toBe(4);
    expect((await support('webhooks', 'disable', id)).code).toBe(4);
    expect((await fleet('webhooks', 'delete', id, '--yes')).code).toBe(0);
    expect((await fleet('webhooks', 'show', id)).code).toBe(4);
  });
});

it('the audit is filtered, and says what a detail was', async () => {
  await fleet('customers', 'quota', 'c-1', '7');
  await fleet('instances', 'restart', instance);
  expect((await fleet('audit', 'list', '--instance', instance)).out).toMatch(/user:test-admin +restart\.requested/);
  const quota = await fleet('audit', 'list', '--action', 'customer.quota-set', '--limit', '1');
  expect(quota.out).toContain('customer=c-1 quota=7');
  expect((await fleet('audit', 'list', '--since', 'yesterday')).code).toBe(2);
  expect((await fleet('audit', 'list', '--actor', 'user:nobody')).out).toBe('There are no entries.');
});

it('plans and addresses that bounced are listed, and an address is let in again', async () => {
  expect((await fleet('plans', 'list')).out).toMatch(/^small +\d+ m +\d+ MiB/m);
  await api().database.query(`insert into bounced_addresses (address, reason) values ('o@acme.example', '550 no')`);
  expect((await fleet('bounced-addresses', 'list')).out).toMatch(/^o@acme\.example +\S+Z +550 no$/m);
  expect((await fleet('bounced-addresses', 'clear', 'o@acme.example')).code).toBe(0);
  expect((await fleet('bounced-addresses', 'list')).out).toBe('No address has bounced.');
  expect((await fleet('bounced-addresses', 'clear', 'o@acme.example')).code).toBe(4);
});

it('a dead letter is shown with its bytes, and given up', async () => {
  const { rows } = await api().database.query<{ sequence: number }>(
    `insert into dead_events (source, id, type, received_by, reason_code, reason, body, digest)
     values ('urn:x', 'e-1', 't', 'stop', 'invalid-event', 'It is wrong.', '{"a": "\u001b[31m"}', $1) returning sequence`,
    [createHash('sha256').digest()],
  );
  const number = String(rows[0]?.sequence);
  const shown = await fleet('dead-letters', 'show', number);
  expect(shown.out).toMatch(/^reason +It is wrong\.$/m);
  expect(shown.out).toContain('{"a": "\ufffd[31m"}');
  expect((await fleet('dead-letters', 'discard', number)).code).toBe(2);
  expect((await fleet('dead-letters', 'discard', number, '--yes')).out).toBe(`${number}: discarded`);
});

describe('a reconcile', () => {
  const find = (kind: string) =>
    api().database.query(
      `insert into findings (kind, subject, shard, place, instance_id, detail) values ($1, $2, left($2, 1), 'cluster', $2, 'x')`,
      [kind, instance],
    );

  it('is planned for the fleet and for an instance, and nothing is done', async () => {
    expect((await fleet('reconcile', '--plan')).out).toBe('Nothing has drifted.');
    expect((await fleet('reconcile', instance, '--plan')).out).toContain('nothing is amiss');
    await find('service-missing');
    expect((await fleet('reconcile', '--plan')).out).toMatch(
      new RegExp(`^${instance} +alarm +service-missing +cluster +repair +x`, 'm'),
    );
    expect((await fleet('reconcile', '--plan', '--severity', 'warning')).out).toBe('Nothing has drifted.');
    expect((await fleet('reconcile', instance, '--plan')).out).toContain('a repair is asked for next');
    await find('volume-missing');
    const blocked = await fleet('reconcile', instance, '--plan');
    expect(blocked.out).toMatch(/until a person has acted\.[^]*What a person does:\n {2}volume-missing: /);
    expect(await json('reconcile', instance, '--plan')).toMatchObject({ intent: 'blocked', findings: [{}, {}] });
    expect(await json('operations', 'list')).toEqual({ items: [], next: null });
  });

  it('of an instance asks for its repair', async () => {
    const asked = await fleet('reconcile', instance, '--reason', 'looked wrong');
    expect(asked).toMatchObject({ code: 0, out: expect.stringContaining(`The repair of ${instance} is accepted.`) });
    expect((await support('reconcile', instance)).code).toBe(4);
    expect((await support('reconcile', instance, '--plan')).out).toContain('fleet operations watch');
  });

  it.each([
    [['reconcile'], 'Name the instance'],
    [['reconcile', '--plan', '--watch'], '--watch does not go with --plan'],
    [['reconcile', instance, '--kind', 'unsettled'], '--kind does not go with'],
    [['reconcile', instance, '--plan', '--severity', 'alarm'], '--severity does not go with'],
  ])('%j is a wrong call', async (args, why) => {
    expect(await fleet(...args)).toMatchObject({ code: 2, out: '', errors: expect.stringContaining(why) });
  });
});
