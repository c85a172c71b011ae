import { expect, test } from 'vitest';
import { databaseName, requestName, statementName } from './names.ts';

test('a statement is named by what it writes', () => {
  expect(statementName('insert into inbox (source, id) values ($1, $2) on conflict (id) do update set a = 1')).toBe(
    'INSERT inbox',
  );
  expect(
    statementName('with mine as (update operations set a = 1 returning id) insert into operation_steps select id'),
  ).toBe('UPDATE operations, INSERT operation_steps');
  expect(statementName('update ONLY public.res_users set login = $1')).toBe('UPDATE res_users');
});

test('a lock is not taken for a write', () => {
  expect(statementName('select id from outbox where a for update skip locked')).toBe('SELECT outbox');
});

test('a query that is sent for its effect is named by the effect', () => {
  expect(statementName('select pg_terminate_backend(pid, $3) as ended from pg_stat_activity')).toBe(
    'SELECT pg_terminate_backend',
  );
});

test('a batch is named by its parts, once each, without settings', () => {
  expect(
    statementName(
      "BEGIN; SELECT set_config('b', 'on', true) WHERE a; SET LOCAL a = 'x;y'; INSERT INTO public.fence AS held VALUES ('abc', 3); SELECT 1; SELECT 1",
    ),
  ).toBe('BEGIN + INSERT fence + SELECT');
});

test('no literal and no quoted identifier gets into a name', () => {
  const name = statementName(
    `ALTER ROLE "odoo_secretname" LOGIN PASSWORD 'SCRAM''x'; GRANT "odoo_secretname" TO CURRENT_USER;
     ALTER DATABASE "warm_1" RENAME TO "odoo_secretname"; COMMENT ON DATABASE "x" IS 'secret'`,
  );
  expect(name).toBe('ALTER ROLE + GRANT + ALTER DATABASE + COMMENT ON DATABASE');
});

test('a database is named without the instance', () => {
  expect(databaseName('odoo_abcdefghijk2')).toBe('odoo_*');
  expect(databaseName('making_abcdefghijk2_17')).toBe('making_*_*');
  expect(databaseName('platform')).toBe('platform');
});

test('a request to the Kubernetes API is named by its resource, any other by its path', () => {
  const path = '/apis/apps/v1/namespaces/odoo-tenants/deployments/odoo-abcdefghijk2?fieldManager=x';
  expect(requestName('PATCH', path)).toBe('PATCH deployments');
  expect(requestName('POST', '/api/v1/namespaces/odoo-tenants/secrets')).toBe('POST secrets');
  expect(requestName('GET', '/web/login?db=x')).toBe('GET /web/login');
});
