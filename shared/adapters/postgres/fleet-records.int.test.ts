import { beforeAll, expect, test } from 'vitest';
import { makeKeyPair } from '#shared/adapters/eventing/signature-keys.ts';
import type { DatabaseServer, Image, Plan } from '#shared/domain/instance/instance.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { appendAudit } from './audit.ts';
import { type Cluster, findCluster, listClusters, upsertCluster } from './clusters.ts';
import { ensureCustomer, lockCustomer, upsertCustomer } from './customers.ts';
import type { Database } from './database.ts';
import {
  findDatabaseServer,
  listActiveDatabaseServers,
  recordReached,
  upsertDatabaseServer,
} from './database-servers.ts';
import { findImage, listActiveImages, upsertImage } from './images.ts';
import { findPlan, upsertPlan } from './plans.ts';
import {
  findSource,
  insertSourceKey,
  listSources,
  removeSourceKey,
  removeSourceRule,
  upsertSourceRule,
} from './sources.ts';

// The records a fleet is seeded with: what is written is read back in the domain's words, and may be written again.
const platform = platformOfThisFile();
let database: Database;
beforeAll(() => {
  database = platform();
});

const plan: Plan = {
  id: 'small',
  cpuMillis: 500,
  memoryMib: 512,
  diskGib: 5,
  workers: 0,
  cronThreads: 1,
  databaseConnections: 16,
  replicas: 1,
};
const image: Image = {
  id: 'odoo-19',
  reference: 'odoo@sha256:0',
  odooVersion: '19.0',
  edition: 'community',
  addonsDigest: '',
  languages: ['en_US', 'de_DE'],
};
const cluster: Cluster = { id: 'main', baseDomain: 'example.com', scheme: 'https', publicPort: null };
const server: DatabaseServer = {
  id: 'one',
  host: 'db.example.com',
  port: 5432,
  adminUser: 'fleet',
  secretKey: 'one',
  sslMode: 'verify-full',
};

test('a plan', async () => {
  expect(await findPlan(database, 'small')).toBeUndefined();
  await upsertPlan(database, { ...plan, workers: 7 });
  await upsertPlan(database, plan);
  expect(await findPlan(database, 'small')).toEqual(plan);
});

test('an image, and only active ones are offered', async () => {
  expect(await findImage(database, 'odoo-19')).toBeUndefined();
  await upsertImage(database, image, { warmTarget: 2 });
  expect(await findImage(database, 'odoo-19')).toEqual({ image, status: 'active', warmTarget: 2 });
  await upsertImage(database, { ...image, id: 'odoo-18' }, { status: 'retired' });
  expect((await listActiveImages(database)).map((record) => record.image.id)).toEqual(['odoo-19']);
  expect(await findImage(database, 'odoo-18')).toMatchObject({ status: 'retired' });
});

test('a cluster', async () => {
  expect(await findCluster(database, 'main')).toBeUndefined();
  await upsertCluster(database, cluster);
  const local: Cluster = { id: 'local', baseDomain: 'localhost', scheme: 'http', publicPort: 8080 };
  await upsertCluster(database, local);
  expect(await findCluster(database, 'main')).toEqual(cluster);
  expect(await listClusters(database)).toEqual([local, cluster]);
});

test('a database server, placeable once it was reached with what it is reached with now', async () => {
  await upsertDatabaseServer(database, server, { maxInstances: 10 });
  const fresh = {
    server,
    status: 'active',
    instanceCount: 0,
    maxInstances: 10,
    purpose: 'tenants',
    backupSlots: 2,
    priority: 100,
    reachedAt: null,
    serverVersion: null,
  };
  expect(await findDatabaseServer(database, 'one')).toEqual(fresh);
  await recordReached(database, 'one', { serverVersion: 150_018 });
  const reached = { ...fresh, reachedAt: expect.any(Date), serverVersion: 150_018 };
  expect(await findDatabaseServer(database, 'one')).toEqual(reached);
  await upsertDatabaseServer(database, server, { maxInstances: 10 });
  expect(await findDatabaseServer(database, 'one')).toEqual(reached);
  await upsertDatabaseServer(database, { ...server, secretKey: 'another' }, { maxInstances: 10 });
  expect((await findDatabaseServer(database, 'one'))?.reachedAt).toBeNull();
});

test('active servers come in the order they are chosen', async () => {
  await upsertDatabaseServer(database, { ...server, id: 'first' }, { priority: 1 });
  await upsertDatabaseServer(database, { ...server, id: 'resting' }, { priority: 0, status: 'maintenance' });
  expect((await listActiveDatabaseServers(database)).map((record) => record.server.id)).toEqual(['first', 'one']);
});

test('a server that holds more cannot be made smaller', async () => {
  await database.query("update db_servers set instance_count = 3 where id = 'first'");
  await expect(upsertDatabaseServer(database, { ...server, id: 'first' }, { maxInstances: 2 })).rejects.toMatchObject({
    code: 'constraint-violated',
    facts: { constraint: 'db_servers_capacity' },
  });
});

test('what a source may send', async () => {
  expect(await findSource(database, 'urn:billing')).toEqual({ rules: [], keys: [] });
  const rules = [
    { eventType: '*', customerId: null, mustSign: true },
    { eventType: 'b', customerId: null, mustSign: false },
  ];
  for (const rule of rules) await upsertSourceRule(database, 'urn:billing', { ...rule, mustSign: !rule.mustSign });
  for (const rule of rules) await upsertSourceRule(database, 'urn:billing', rule);
  expect(await findSource(database, 'urn:billing')).toEqual({ rules, keys: [] });
  expect(await removeSourceRule(database, 'urn:billing', 'b')).toBe(true);
  expect(await removeSourceRule(database, 'urn:billing', 'b')).toBe(false);
  await expect(
    upsertSourceRule(database, 'urn:billing', { eventType: 'c', customerId: 'nobody', mustSign: true }),
  ).rejects.toMatchObject({ code: 'constraint-violated', facts: { constraint: 'sources_customer_id_fkey' } });
});

test('a source has several keys at a time; an id is given once', async () => {
  const [first, second] = [makeKeyPair(), makeKeyPair()];
  for (const key of [first, second, first]) expect(await insertSourceKey(database, 'urn:keys', key)).toBe(true);
  expect(await insertSourceKey(database, 'urn:keys', { ...first, publicKey: second.publicKey })).toBe(false);
  const { rules, keys } = await findSource(database, 'urn:keys');
  expect(rules).toEqual([]);
  expect(new Map(keys.map((key) => [key.keyId, key.publicKey]))).toEqual(
    new Map([first, second].map((key) => [key.keyId, key.publicKey])),
  );
  expect(await removeSourceKey(database, 'urn:keys', first.keyId)).toBe(true);
  expect((await listSources(database)).get('urn:keys')?.keys.map((key) => key.keyId)).toEqual([second.keyId]);
});

test('a private key is not kept', async () => {
  const { keyId, privateKey } = makeKeyPair();
  await expect(insertSourceKey(database, 'urn:keys', { keyId, publicKey: privateKey })).rejects.toMatchObject({
    code: 'constraint-violated',
  });
});

test('a customer has a quota, and his instances that are not terminated count', async () => {
  await database.transaction(async (transaction) => {
    expect(await lockCustomer(transaction, 'acme')).toBeUndefined();
    await ensureCustomer(transaction, 'acme');
    await ensureCustomer(transaction, 'acme');
    expect(await lockCustomer(transaction, 'acme')).toEqual({ quota: 5, liveInstances: 0 });
  });
  await upsertCustomer(database, { id: 'acme', quota: 2 });
  await addInstance(database, 'aaaaaaaaaaaa', 'running');
  await addInstance(database, 'aaaaaaaaaaab', 'terminated');
  expect(await database.transaction((transaction) => lockCustomer(transaction, 'acme'))).toEqual({
    quota: 2,
    liveInstances: 1,
  });
});

test('ten who count before they add never go over the quota', async () => {
  await upsertCustomer(database, { id: 'acme', quota: 4 });
  const added = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      database.transaction(async (transaction) => {
        const found = await lockCustomer(transaction, 'acme');
        if (found === undefined || found.liveInstances >= found.quota) return false;
        await addInstance(transaction, `bbbbbbbbbbb${'abcdefghij'.charAt(index)}`, 'creating');
        return true;
      }),
    ),
  );
  expect(added.filter(Boolean)).toHaveLength(3);
});

test('an audit entry holds what it tells of', async () => {
  await appendAudit(database, { actor: 'urn:billing', action: 'provision.requested' });
  await appendAudit(database, {
    actor: 'ann',
    action: 'retried',
    instanceId: 'aaaaaaaaaaaa',
    detail: { why: ['a', 1] },
  });
  const { rows } = await database.query(
    'select actor, action, instance_id, operation_id, detail from audit order by sequence',
  );
  expect(rows).toEqual([
    { actor: 'urn:billing', action: 'provision.requested', instance_id: null, operation_id: null, detail: {} },
    { actor: 'ann', action: 'retried', instance_id: 'aaaaaaaaaaaa', operation_id: null, detail: { why: ['a', 1] } },
  ]);
});

function addInstance(queryable: Pick<Database, 'query'>, id: string, status: string) {
  return queryable.query(
    `insert into instances (id, customer_id, name, cluster_id, plan_id, image_id, admin_login, status, desired_state)
     values ($1, 'acme', 'acme', 'main', 'small', 'odoo-19', 'ann@acme.test', $2,
       case $2 when 'terminated' then 'terminated' else 'running' end)`,
    [id, status],
  );
}
