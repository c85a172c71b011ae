import { expect, test } from 'vitest';
import { keepFirstLogin } from '#shared/adapters/postgres/first-logins.ts';
import { sealFirstLogin } from '#shared/domain/notification/first-login.ts';
import { testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';

const api = apiOfThisFile();
const login = { url: 'https://acme.odoo.example', login: 'owner@acme.example', password: 'Xy7-first-password' };

async function makeLink(instance: string, hours = 24): Promise<string> {
  const { token, ...sealed } = sealFirstLogin(login, instance);
  await keepFirstLogin(api().database, { instanceId: instance, login: sealed, hours });
  return token;
}
const use = (token: unknown) => api().ask('nobody', 'POST', '/v1/first-login', { body: { token } });

test('the page behind a link uses nothing up, and may do nothing but ask us', async () => {
  const token = await makeLink(testInstanceId(1));
  for (const method of ['GET', 'HEAD']) await api().ask('nobody', method, '/first-login');
  const page = await api().ask('nobody', 'GET', '/first-login');
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toContain('text/html');
  const policy = page.headers.get('content-security-policy') ?? '';
  expect(policy).toMatch(/default-src 'none'.*connect-src 'self'.*frame-ancestors 'none'/);
  expect(policy).not.toContain('unsafe');
  expect(page.headers.get('referrer-policy')).toBe('no-referrer');
  expect((await use(token)).status).toBe(200);
});

test('a link shows the first password once, and is in the audit without it', async () => {
  const instance = testInstanceId(2);
  const token = await makeLink(instance);
  const answers = await Promise.all([use(token), use(token), use(token)]);
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 404, 404]);
  const shown = answers.find(({ status }) => status === 200);
  expect(shown?.body).toEqual(login);
  expect(shown?.headers.get('cache-control')).toContain('no-store');
  const text = 'select * from audit where instance_id = $1';
  const { rows } = await api().database.query(text, [instance]);
  expect(rows).toMatchObject([{ action: 'first-login.used', actor: 'link:first-login' }]);
  expect(JSON.stringify(rows)).not.toContain(login.password);
});

test('one that was never made, is over, or is no token shows nothing', async () => {
  const late = await makeLink(testInstanceId(3), 0);
  for (const token of ['a'.repeat(43), late]) expect(await use(token)).toMatchObject({ status: 404 });
  for (const token of ['', '../x', 7, undefined]) expect(await use(token)).toMatchObject({ status: 400 });
});

test('an admin sees addresses that bounced and lets mails go to them again; nobody else does', async () => {
  const address = 'owner@gone.example';
  await api().database.query(`insert into bounced_addresses values ($1, '550 5.1.1 No such user')`, [address]);
  const list = await api().ask('admin', 'GET', '/v1/bounced-addresses?total=true');
  expect(list.body).toMatchObject({ items: [{ address, reason: '550 5.1.1 No such user' }], total: 1 });
  const clear = (caller: 'admin' | 'customer' | 'nobody') =>
    api().ask(caller, 'POST', '/v1/bounced-addresses/clear', { body: { address: 'Owner@gone.example' } });
  expect((await clear('nobody')).status).toBe(401);
  expect((await clear('customer')).status).toBe(403);
  expect((await api().ask('customer', 'GET', '/v1/bounced-addresses')).status).toBe(403);
  expect((await clear('admin')).status).toBe(204);
  expect((await clear('admin')).status).toBe(404);
});
