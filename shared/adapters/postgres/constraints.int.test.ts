import fc from 'fast-check';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { instanceStatuses } from '#shared/domain/instance/instance.ts';
import { isReservedName, reservedNames } from '#shared/domain/instance/reserved-names.ts';
import { operationKinds } from '#shared/domain/operation/operation.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { appendAudit } from './audit.ts';
import type { Database } from './database.ts';

// The rules of the platform hold in the database, whatever a program does.
const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await database.query("insert into customers (id) values ('customer')");
  await database.query("insert into clusters (id, base_domain) values ('main', 'example.com')");
  await database.query("insert into plans (id, cpu_millis, memory_mib, disk_gib) values ('small', 500, 512, 5)");
  await database.query("insert into images (id, reference, odoo_version) values ('odoo-19', 'odoo:19', '19.0')");
});
beforeEach(() => database.query('truncate instances cascade'));

const insertInstance = (fields: Record<string, unknown> = {}) =>
  insert('instances', {
    id: 'abcdefgh2345',
    customer_id: 'customer',
    name: 'acme',
    host: 'acme.example.com',
    cluster_id: 'main',
    plan_id: 'small',
    image_id: 'odoo-19',
    admin_login: 'owner@acme.test',
    ...fields,
  });
const insertOperation = (number: number, fields: Record<string, unknown> = {}) =>
  insert('operations', {
    id: `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`,
    instance_id: 'abcdefgh2345',
    kind: 'provision',
    definition_version: 1,
    state: 'queued',
    deadline: new Date('2030-01-01'),
    idempotency_key: `key ${number}`,
    requested_by: 'urn:test',
    cause: 'event',
    request: '{}',
    ...fields,
  });
function insert(table: string, row: Record<string, unknown>) {
  const names = Object.keys(row);
  const places = names.map((_, index) => `$${index + 1}`);
  return database.query(`insert into ${table} (${names.join()}) values (${places.join()})`, Object.values(row));
}
const violates = (promise: Promise<unknown>, constraint: string) =>
  expect(promise).rejects.toMatchObject({ code: 'constraint-violated', facts: { constraint } });

describe('one operation works on an instance at a time', () => {
  test.each([
    ['running', 'running'],
    ['running', 'waiting'],
    ['waiting', 'running'],
    ['waiting', 'waiting'],
  ])('beside one that is %s none can be %s', async (first, second) => {
    await insertInstance();
    await insertOperation(1, { state: first });
    await insertOperation(2, { state: 'queued' });
    await violates(
      database.query('update operations set state = $1 where idempotency_key = $2', [second, 'key 2']),
      'operations_one_active',
    );
    await violates(insertOperation(3, { state: second }), 'operations_one_active');
  });

  test('after one has ended the next may run, and other instances are not concerned', async () => {
    await insertInstance();
    await insertInstance({ id: 'abcdefgh2346', host: 'other.example.com' });
    await insertOperation(1, { state: 'succeeded' });
    await insertOperation(2, { state: 'running' });
    await insertOperation(3, { state: 'running', instance_id: 'abcdefgh2346' });
  });

  test('one request is one operation', async () => {
    await insertInstance();
    await insertOperation(1);
    await violates(insertOperation(2, { idempotency_key: 'key 1' }), 'operations_instance_id_kind_idempotency_key_key');
  });

  test('a failed one says why, a lease has a holder', async () => {
    await insertInstance();
    await violates(insertOperation(1, { state: 'failed' }), 'operations_failure_has_reason');
    await violates(insertOperation(1, { lease_until: new Date() }), 'operations_lease_has_holder');
  });
});

describe('hosts', () => {
  test('belong to one instance, and a freed one to nobody', async () => {
    await insertInstance();
    await violates(insertInstance({ id: 'abcdefgh2346' }), 'instances_host_key');
    await database.query('update instances set host = null');
    await insertInstance({ id: 'abcdefgh2346' });
    await insertInstance({ id: 'abcdefgh2347', host: null });
  });

  test.each(reservedNames)('%s is refused by the database and by the domain', async (name) => {
    await violates(insertInstance({ host: `${name}.example.com` }), 'instances_host_not_reserved');
    await violates(insertInstance({ host: name }), 'instances_host_not_reserved');
    expect(isReservedName(name)).toBe(true);
  });

  test('exactly those names are refused', async () => {
    const { rows } = await database.query<{ definition: string }>(
      "select pg_get_constraintdef(oid) as definition from pg_constraint where conname = 'instances_host_not_reserved'",
    );
    const inDatabase = [...(rows[0]?.definition.matchAll(/'([a-z0-9]+)'::text/g) ?? [])].map(([, name]) => name);
    expect(new Set(inDatabase)).toEqual(new Set(reservedNames));
  });

  test('database and domain agree about any name', async () => {
    const label = fc.oneof(
      fc.constantFrom(...reservedNames),
      fc.constantFrom(...reservedNames).map((name) => `${name}s`),
      fc.stringMatching(/^[a-z]([a-z0-9-]{0,12}[a-z0-9])?$/),
    );
    await fc.assert(
      fc.asyncProperty(label, async (name) => {
        await database.query('truncate instances cascade');
        const refused = await insertInstance({ host: `${name}.example.com` }).then(
          () => false,
          () => true,
        );
        expect(refused).toBe(isReservedName(name));
      }),
      { numRuns: 60 },
    );
  });

  test.each(['Admin.example.com', 'a b', '-a', 'a/b', "a'; drop table instances; --", 'ä.example.com', 'a\n', ''])(
    '%j is no host',
    async (host) => {
      await violates(insertInstance({ host }), 'instances_host_check');
    },
  );
});

describe('words and numbers', () => {
  test('the statuses of the domain are those of the database', async () => {
    for (const status of instanceStatuses) {
      await database.query('truncate instances cascade');
      await insertInstance({ status });
    }
    await database.query('truncate instances cascade');
    await violates(insertInstance({ status: 'paused' }), 'instances_status_check');
    await violates(insertInstance({ desired_state: 'suspended' }), 'instances_desired_state_check');
  });

  test('the kinds and states of operations are those of the database', async () => {
    await insertInstance();
    for (const [index, kind] of operationKinds.entries()) await insertOperation(index, { kind });
    await violates(insertOperation(99, { kind: 'explode' }), 'operations_kind_check');
    await violates(insertOperation(99, { state: 'lost' }), 'operations_state_check');
  });

  test.each(['abc', 'ABCDEFGH2345', 'abcdefgh2341', 'abcdefgh23456', "abcdefgh234'"])('%j is no instance id', (id) =>
    violates(insertInstance({ id }), 'instances_id_check'),
  );

  test('what was observed is not ahead of what is wanted', () =>
    violates(insertInstance({ observed_generation: 2 }), 'instances_observed_generation'));

  test('a server takes no more than it may hold, and never less than none', async () => {
    await insert('db_servers', {
      id: 'one',
      host: 'h',
      admin_user: 'a',
      secret_key: 'k',
      max_instances: 2,
      instance_count: 2,
    });
    const change = (by: number) => database.query('update db_servers set instance_count = instance_count + $1', [by]);
    await violates(change(1), 'db_servers_capacity');
    await violates(change(-3), 'db_servers_instance_count_check');
    await violates(database.query('update db_servers set max_instances = 1'), 'db_servers_capacity');
    await change(-2);
  });

  test('two suspensions for one reason are not open at once', async () => {
    await insertInstance();
    const suspend = (reason: string) => insert('suspensions', { instance_id: 'abcdefgh2345', reason, cause: 'event' });
    await suspend('billing');
    await suspend('abuse');
    await violates(suspend('billing'), 'suspensions_open');
    await database.query("update suspensions set closed_at = now() where reason = 'billing'");
    await suspend('billing');
  });

  test('an instance needs its customer, plan, image and cluster', async () => {
    for (const [column, constraint] of [
      ['customer_id', 'instances_customer_id_fkey'],
      ['plan_id', 'instances_plan_id_fkey'],
      ['image_id', 'instances_image_id_fkey'],
      ['cluster_id', 'instances_cluster_id_fkey'],
      ['db_server_id', 'instances_db_server_id_fkey'],
    ] as const) {
      await violates(insertInstance({ [column]: 'nowhere' }), constraint);
    }
  });
});

test.each([
  "update audit set actor = 'somebody else'",
  'delete from audit',
  'truncate audit',
  'truncate audit cascade',
])('the audit refuses: %s', async (text) => {
  await appendAudit(database, { actor: 'urn:test', action: 'tested' });
  await expect(database.query(text)).rejects.toMatchObject({ code: 'misconfigured' });
  expect((await database.query("select 1 from audit where actor <> 'urn:test'")).rowCount).toBe(0);
});
