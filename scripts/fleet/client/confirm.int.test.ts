import { beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { clientOfThisFile, tokens } from './client.fixture.ts';

const { api, run } = clientOfThisFile();
const instance = testInstanceId(1);
const backup = '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f';

beforeAll(() => insertCatalogue(api().database));
beforeEach(async () => {
  await api().database.query('truncate operations, operation_steps, outbox, instances cascade');
  await insertTestInstance(api().database, instance);
  await api().database.query(`update instances set status = 'running', observed_generation = generation`);
});

const fleet = (args: readonly string[], answer?: string | ((question: string) => Promise<string>)) => {
  const ask = typeof answer === 'string' ? async () => answer : answer;
  const env = { HOME: '/nonexistent', FLEET_URL: api().url, FLEET_TOKEN: tokens.admin };
  return run(args, env, ask === undefined ? {} : { ask });
};
const asked = async () =>
  (await api().database.query<{ kind: string }>('select kind from operations')).rows.map(({ kind }) => kind);

it.each([
  [['instances', 'terminate', instance]],
  [['instances', 'purge', instance, '--without-backup']],
  [['backups', 'restore', instance, backup]],
  [['backups', 'undo-restore', instance, backup]],
  [['dead-letters', 'discard', '1']],
  [['domains', 'remove', instance, 'shop.acme.example']],
  [['webhooks', 'delete', backup]],
  [['webhooks', 'rotate-secret', backup, '--overlap-hours', '0']],
  [['keys', 'revoke', backup]],
])('%j is refused where nobody can be asked, before anything is sent', async (args) => {
  const env = { HOME: '/nonexistent', FLEET_URL: 'http://127.0.0.1:9', FLEET_TOKEN: tokens.admin };
  const refused = await run([...args, '--json'], env);
  expect(refused).toMatchObject({ code: 2, errors: expect.stringContaining('say --yes') });
  expect(JSON.parse(refused.out)).toMatchObject({ error: { code: 'misconfigured' } });
});

it('the name of the instance is what is to be typed, and anything else does nothing', async () => {
  const ask = vi.fn(async (_question: string) => instance);
  const mistyped = await fleet(['instances', 'terminate', instance], ask);
  expect(ask.mock.calls[0]?.[0]).toContain(`Type n-${instance} to go on: `);
  expect(mistyped).toMatchObject({ code: 1, out: '', errors: expect.stringContaining('nothing was done') });
  expect((await fleet(['instances', 'terminate', instance], '')).code).toBe(1);
  expect(await asked()).toEqual([]);
  expect((await fleet(['instances', 'terminate', instance], `n-${instance} `)).code).toBe(0);
  expect(await asked()).toEqual(['terminate']);
});

it('with --yes nobody is asked', async () => {
  const ask = vi.fn(async () => '');
  expect((await fleet(['instances', 'terminate', instance, '--yes'], ask)).code).toBe(0);
  expect(ask).not.toHaveBeenCalled();
  expect(await asked()).toEqual(['terminate']);
});

it('what is not there is said instead of asked for', async () => {
  const ask = vi.fn(async () => '');
  expect((await fleet(['instances', 'terminate', testInstanceId(9)], ask)).code).toBe(4);
  expect((await fleet(['webhooks', 'delete', backup], ask)).code).toBe(4);
  expect(ask).not.toHaveBeenCalled();
});

it('a key is named by its name, an endpoint by its host', async () => {
  const env = { HOME: '/nonexistent', FLEET_URL: api().url, FLEET_TOKEN: tokens.admin };
  const key = JSON.parse((await run(['keys', 'create', '--name', 'ci of acme', '--json'], env)).out);
  expect((await fleet(['keys', 'revoke', key.id], 'ci')).code).toBe(1);
  expect((await fleet(['keys', 'revoke', key.id], 'ci of acme')).code).toBe(0);
  const made = await run(['webhooks', 'create', 'https://hooks.acme.example/x', '--customer', 'c-1', '--json'], env);
  const { id } = JSON.parse(made.out);
  const rotation = ['webhooks', 'rotate-secret', id, '--overlap-hours', '0'];
  expect(await fleet(rotation, id)).toMatchObject({ code: 1, out: '' });
  expect((await fleet(rotation, 'hooks.acme.example')).out).toContain('ends now');
  expect((await fleet(['webhooks', 'delete', id], id)).code).toBe(1);
  expect((await fleet(['webhooks', 'delete', id], 'hooks.acme.example')).code).toBe(0);
});
