import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { databaseOfThisFile } from '#shared/testing/databases.ts';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { apiOfThisFile } from './served-api.fixture.ts';

let bouncer: TcpProxy;
let redis: TcpProxy;

beforeAll(async () => {
  bouncer = await startTcpProxy(sharedServers().pgbouncer);
  redis = await startTcpProxy(sharedServers().redis);
});
const fresh = databaseOfThisFile();
const api = apiOfThisFile({ made: () => ({ ...fresh(), pooled: bouncer }), redis: () => redis });
const id = testInstanceId(1);

beforeAll(async () => {
  await insertCatalogue(api().database);
  await insertTestInstance(api().database, id);
});
afterAll(async () => {
  await bouncer.close();
  await redis.close();
});
beforeEach(async () => {
  bouncer.accept();
  redis.accept();
  const isWell = async () => (await api().ask('nobody', 'GET', '/v1/health')).body.status;
  await expect.poll(isWell, { timeout: 10_000 }).toBe('healthy');
  // not of an earlier test, in this process or in Redis
  await api().ports.cache.invalidateKind('instance');
});

const reads = [
  '/v1/instances',
  '/v1/operations',
  '/v1/backups',
  '/v1/plans',
  '/v1/db-servers',
  '/v1/dead-events',
  '/v1/audit',
  '/v1/keys',
  '/v1/customers',
];
const detail = () => api().ask('admin', 'GET', `/v1/instances/${id}`);
const healthIs = (status: string) =>
  expect
    .poll(async () => (await api().ask('nobody', 'GET', '/v1/health')).body.status, { timeout: 10_000 })
    .toBe(status);

describe('without the database', () => {
  it.each(reads)('%s says to come again, and names no server', async (path) => {
    bouncer.refuse();
    bouncer.cutAll();
    const { status, headers, body, text } = await api().ask('admin', 'GET', path);
    expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'unavailable', '2']);
    expect(text).not.toMatch(/127\.0\.0\.1|test_/);
  });

  it('an instance that is in the cache is shown, and the others are not', async () => {
    // on a busy machine Redis may be late for once
    await expect.poll(async () => (await detail()).headers.get('x-cache'), { timeout: 15_000 }).toBe('HIT');
    bouncer.refuse();
    bouncer.cutAll();
    const kept = await detail();
    expect([kept.status, kept.headers.get('x-cache')]).toEqual([200, 'HIT']);
    expect((await api().ask('admin', 'GET', `/v1/instances/${testInstanceId(2)}`)).status).toBe(503);
  });

  it('health is 503, and well again by itself when it is back', async () => {
    bouncer.refuse();
    bouncer.cutAll();
    await healthIs('unhealthy');
    expect((await api().ask('nobody', 'GET', '/v1/health')).status).toBe(503);
    bouncer.accept();
    await healthIs('healthy');
    expect((await api().ask('admin', 'GET', '/v1/plans')).status).toBe(200);
  });

  it('descriptions are given all the same', async () => {
    bouncer.refuse();
    bouncer.cutAll();
    expect((await api().ask('nobody', 'GET', '/openapi.json')).body.openapi).toBe('3.1.1');
    const page = await api().ask('nobody', 'GET', '/docs');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
  });
});

describe('without Redis', () => {
  it('everything is read from the database, which X-Cache says', async () => {
    redis.refuse();
    redis.cutAll();
    for (const path of reads) expect((await api().ask('admin', 'GET', path)).status).toBe(200);
    const bypassed = await detail();
    expect([bypassed.status, bypassed.headers.get('x-cache')]).toEqual([200, 'BYPASS']);
    await healthIs('degraded');
    expect((await api().ask('nobody', 'GET', '/v1/health')).status).toBe(200);
  });
});

describe('a broker that is away', () => {
  it('shows in health by what waits for it', async () => {
    await api().database.query(
      `insert into outbox (id, type, source, data, created_at)
       values (gen_random_uuid(), 'x', 'urn:x', '{}', clock_timestamp() - interval '1 minute')`,
    );
    await healthIs('degraded');
    const { body } = await api().ask('nobody', 'GET', '/v1/health');
    expect(body.outbox.waiting).toBe(1);
    expect(body.outbox.oldestSeconds).toBeGreaterThan(59);
    await api().database.query('delete from outbox');
  });
});
