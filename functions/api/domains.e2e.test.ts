import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DnsServer, startDnsServer } from '#shared/adapters/dns/dns-server.fixture.ts';
import { kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { objectOf } from '#shared/testing/drift.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { pageAnswers, runningInstance, settled } from '#shared/testing/life.ts';
import { keyFor, type StartedApi, startApi } from './started-api.fixture.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true, functionSettings: { RECONCILE_EVERY_MS: '3600000' } });

let dns: DnsServer;
let api: StartedApi;
let id: string;
beforeAll(async () => {
  dns = await startDnsServer();
  id = await runningInstance(fleet(), 'own-hosts');
  api = await startApi(fleet(), { key: await keyFor(fleet(), 'admin'), settings: { DNS_SERVERS: dns.address } });
});
afterAll(async () => {
  await api?.stop();
  dns?.close();
});

const host = 'shop.acme.example';

async function statusOf(name: string): Promise<number> {
  const answer = await request(`http://127.0.0.1:${fleet().ingressPort}/web/login`, {
    headers: { host: name },
  });
  await answer.body.dump();
  return answer.statusCode;
}

test('a proven host leads visitors to the instance soon, and no longer once it is taken away', async () => {
  const domains = `/v1/instances/${id}/domains`;
  const asked = await api.ask('POST', domains, { body: { host } });
  expect(asked.status).toBe(201);
  expect((await api.ask('POST', `${domains}/${host}/verify`)).status).toBe(409);
  expect(await statusOf(host)).toBe(404);
  dns.records.set(asked.body.record.name, [[asked.body.record.value]]);
  expect(await api.ask('POST', `${domains}/${host}/verify`)).toMatchObject({
    status: 200,
    body: { state: 'verified' },
  });
  await until(`${host} to lead to the instance`, async () => (await statusOf(host)) === 200);
  await pageAnswers(fleet(), 'own-hosts', 200);
  // the host answers before the operation ends, and what is at work is not looked at
  await settled(fleet(), id);

  expect((await api.ask('DELETE', `${domains}/${host}`)).status).toBe(204);
  const { domainsIngress } = namesOf(id);
  await until(
    'its Ingress to be gone',
    async () => (await objectOf(fleet(), kinds.ingress, domainsIngress)) === undefined,
  );
  await until(`${host} to lead nowhere`, async () => (await statusOf(host)) === 404);
  await pageAnswers(fleet(), 'own-hosts', 200);
});
