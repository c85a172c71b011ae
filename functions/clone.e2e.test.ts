import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findDangers } from '#shared/adapters/odoo-server/neutralize.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { startTestFleet, type TestFleet, until, untilWarm } from '#shared/testing/fleet.ts';
import { listObjects, tracesOf } from '#shared/testing/fleet-traces.ts';
import { carryOut, instanceSeen, lifeRequest, outcomeOf, pageAnswers, runningInstance } from '#shared/testing/life.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { ask, ended, inDatabase, said } from './backup.fixture.ts';

let fleet: TestFleet;
let end: () => Promise<void>;

beforeAll(async () => {
  ({ fleet, end } = await startTestFleet());
  await untilWarm(fleet);
});
afterAll(() => end?.());

const newId = () => deriveInstanceId('test', randomUUID());

/** What of a customer's would act on the world, in the tables that the stand-in has, and in one that nobody knows. */
const dangers = `
  insert into ir_mail_server (name, active, smtp_host, smtp_port, smtp_user, smtp_pass, smtp_encryption, smtp_authentication)
    values ('relay', true, 'smtp.acme.example', 25, 'acme', 'relay-password', 'none', 'login');
  insert into ir_config_parameter (key, value) values ('acme.api_token', 'token-of-acme');
  create table acme_shop (id serial primary key, api_key varchar not null, name varchar);
  insert into acme_shop (api_key, name) values ('key-of-acme', 'Größe');
  alter table acme_shop owner to`;

/** A running instance with all that, and a backup of it. */
async function source(name: string, more = ''): Promise<{ id: string; backup: string }> {
  const id = await runningInstance(fleet, name);
  await inDatabase(fleet, `odoo_${id}`, `${dangers} odoo_${id}; ${more}`);
  const backup = await ask(fleet, 'backup', id);
  expect(await ended(fleet, backup)).toMatchObject({ state: 'succeeded' });
  return { id, backup };
}

async function parametersOf(id: string): Promise<Record<string, string>> {
  const text = 'select key, value from ir_config_parameter';
  const rows = await inDatabase<{ key: string; value: string }>(fleet, `odoo_${id}`, text);
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
}

type Policy = { metadata: { uid: string }; spec: { egress: { to?: unknown[]; ports: { port: number }[] }[] } };
async function policyOf(id: string): Promise<Policy | undefined> {
  const objects = await listObjects(fleet.cluster);
  return objects.find(({ kind, name }) => kind === 'NetworkPolicy' && name === `odoo-${id}`)
    ?.object as unknown as Policy;
}

/** Of a copy: DNS, its database server, the sink. */
async function expectStaging(id: string): Promise<void> {
  const policy = await policyOf(id);
  const ways = policy?.spec.egress.map(({ to, ports }) => ({ to, ports: ports.map(({ port }) => port) }));
  expect(ways).toEqual([
    { to: [{ namespaceSelector: expect.anything() }], ports: [53, 53] },
    { to: [{ ipBlock: { cidr: `${fleet.servers.odoo.host}/32` } }], ports: [fleet.servers.odoo.port] },
    { to: [{ podSelector: expect.anything() }], ports: [2525, 3128] },
  ]);
}

describe('a copy of an instance', () => {
  test('runs neutral under an identity of its own, with its source’s data and files, and stays a copy', async () => {
    const { id, backup } = await source('acme');
    const copy = newId();
    const operation = await ask(fleet, 'clone', copy, { source: id, name: 'acme-try' });
    expect(await ended(fleet, operation)).toMatchObject({ state: 'succeeded', error_text: null });
    expect(await said(fleet, operation, 'dev.odoofleet.instance.clone.succeeded')).toMatchObject({
      instance: copy,
      result: 'done',
    });
    await pageAnswers(fleet, 'acme-try', 200);
    const row = await fleet.rows('select status, cloned_from, cloned_backup from instances where id = $1', [copy]);
    expect(row).toEqual([{ status: 'running', cloned_from: id, cloned_backup: backup }]);

    const database = `odoo_${copy}`;
    expect(await asSuperuser(fleet.servers.odoo, (client) => findDangers(client), { database })).toEqual([]);
    expect(await inDatabase(fleet, database, 'select name, api_key from acme_shop')).toEqual([
      { name: 'Größe', api_key: 'neutralized-1' },
    ]);
    const [ours, theirs] = [await parametersOf(copy), await parametersOf(id)];
    expect(ours['database.uuid']).not.toBe(theirs['database.uuid']);
    expect(ours['database.secret']).not.toBe(theirs['database.secret']);
    expect(ours['web.base.url']).toContain('//acme-try.');
    expect(ours['database.is_neutralized']).toBe('true');
    // the source is as it was
    expect(theirs['acme.api_token']).toBe('token-of-acme');
    expect(await inDatabase(fleet, `odoo_${id}`, 'select active, smtp_pass from ir_mail_server')).toEqual([
      { active: true, smtp_pass: 'relay-password' },
    ]);

    await expectStaging(copy);
    const isConf = ({ kind, name }: { kind: string; name: string }) =>
      kind === 'Secret' && name === `odoo-${copy}-configuration`;
    const conf = (await listObjects(fleet.cluster)).filter(isConf).map(({ object }) => JSON.stringify(object['data']));
    const text = Buffer.from(conf[0]?.split('"')[3] ?? '', 'base64').toString();
    expect(text).toContain('smtp_server = outbound-sink');
    const { databases, roles, objects } = await tracesOf(fleet, fleet.cluster, copy);
    expect(databases).toEqual([database]);
    expect(roles).toEqual([`odoo_${copy}`, `odoo_${copy}_owner`]);
    expect(objects.filter((name) => /^(Job|Secret)\/.*-(load|neutral|neutralize)-/.test(name))).toEqual([]);

    // whoever writes its objects again writes a copy's
    await carryOut(fleet, 'stop', copy);
    await carryOut(fleet, 'start', copy);
    await expectStaging(copy);
    await fleet.cluster.request(
      'DELETE',
      `/apis/networking.k8s.io/v1/namespaces/odoo-tenants/networkpolicies/odoo-${copy}`,
    );
    await carryOut(fleet, 'repair', copy);
    await expectStaging(copy);
    expect(await instanceSeen(fleet, copy)).toMatchObject({ status: 'running' });
  });

  test('that cannot be made neutral is never reached by anybody, and a cancel leaves nothing of it', async () => {
    const again = `create function again() returns trigger language plpgsql as 'begin new.active := true; return new; end';
      create trigger again before update on ir_cron for each row execute function again();`;
    const { id } = await source('stubborn', again);
    const copy = newId();
    const operation = await ask(fleet, 'clone', copy, { source: id, name: 'stubborn-try' });
    expect(await ended(fleet, operation)).toMatchObject({
      state: 'failed',
      error_code: 'not-allowed',
      error_text: expect.stringContaining('scheduled actions that are active'),
    });
    const { databases, roles, objects } = await tracesOf(fleet, fleet.cluster, copy);
    expect(databases).toEqual([]);
    const login = `select rolname from pg_roles where rolname like '%${copy}%' and rolcanlogin`;
    expect(await inDatabase(fleet, 'postgres', login)).toEqual([]);
    expect(roles).toHaveLength(2);
    expect(objects.filter((name) => /^(Deployment|Pod|Ingress)\//.test(name))).toEqual([]);

    await fleet.publish({
      id: randomUUID(),
      type: 'dev.odoofleet.operation.cancel',
      source: 'urn:test:user-service',
      data: { operation, instance: copy, kind: 'clone', reason: 'not wanted' },
      attributes: { subject: copy, opkind: 'clone', operationid: operation, partitionkey: copy },
    });
    await until('the cancel', async () => (await ended(fleet, operation)).state === 'cancelled' || undefined);
    expect(await tracesOf(fleet, fleet.cluster, copy)).toEqual({ databases: [], roles: [], objects: [] });
    expect(await instanceSeen(fleet, copy)).toMatchObject({ status: 'terminated', db_server_id: null });
  });

  test('is refused of what is not there, is no backup of it, or has none', async () => {
    const id = await runningInstance(fleet, 'bare');
    const refusal = async (data: Record<string, unknown>) => {
      const event = lifeRequest('clone', newId(), { name: `try-${randomUUID().slice(0, 6)}`, ...data });
      await fleet.publish(event);
      return await outcomeOf(fleet, event);
    };
    expect(await refusal({ source: newId() })).toBe('refused: not-found');
    expect(await refusal({ source: id })).toBe('refused: not-found');
    expect(await refusal({ source: id, backup: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f' })).toBe('refused: not-found');
    await carryOut(fleet, 'backup', id);
    expect(await refusal({ source: id, name: 'admin' })).toBe('refused: name-reserved');
    await carryOut(fleet, 'suspend', id, { cause: 'abuse' });
    expect(await refusal({ source: id })).toBe('refused: not-allowed');
  });
});
