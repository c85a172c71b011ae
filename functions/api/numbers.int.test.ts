import { randomUUID } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile, testAccess } from './served-api.fixture.ts';

let isLimited = false;
const api = apiOfThisFile({
  // longer than the busiest machine needs for this file
  localTtlMs: 60_000,
  access: () => ({
    ...testAccess,
    limit: async () => ({ isAllowed: !isLimited, limit: 1, remaining: 0, retryAfterMs: 1_000 }),
  }),
});
const one = testInstanceId(1);
beforeAll(async () => {
  await insertCatalogue(api().database);
  await insertTestInstance(api().database, one);
});

/** The lines of the API's own numbers that say how often something was answered, without their default label. */
async function counts(name: string): Promise<Record<string, number>> {
  const lines = (await (await fetch(`${api().url}/metrics`)).text()).split('\n');
  return Object.fromEntries(
    lines
      .filter((line) => line.startsWith(`${name}{`))
      .map((line) => {
        const at = line.lastIndexOf(' ');
        return [line.slice(name.length, at).replace(/function="api",|,function="api"/, ''), Number(line.slice(at + 1))];
      }),
  );
}

test('requests are counted by route, status and outcome: repeated and limited ones, and reads by the cache', async () => {
  const body = { name: 'acme', plan: 'small', owner: { email: 'owner@acme.example' } };
  const options = { body, headers: { 'idempotency-key': randomUUID() } };
  await api().ask('customer', 'POST', '/v1/instances', options);
  await api().ask('customer', 'POST', '/v1/instances', options);
  const detail = `/v1/instances/${one}`;
  const words: (string | null)[] = [];
  for (let n = 0; n < 2; n += 1) words.push((await api().ask('support', 'GET', detail)).headers.get('x-cache'));
  await api().ask('customer:c-2', 'GET', detail);
  await api().ask('support', 'GET', `/v1/nothing/${one}`);
  isLimited = true;
  await api().ask('support', 'GET', detail);
  isLimited = false;

  const requests = await counts('fleet_request_duration_seconds_count');
  expect(requests).toEqual({
    '{type="createInstance",outcome="done",status="202"}': 1,
    '{type="createInstance",outcome="repeated",status="202"}': 1,
    '{type="getInstance",outcome="done",status="200"}': 2,
    '{type="getInstance",outcome="refused",status="404"}': 1,
    '{type="getInstance",outcome="limited",status="429"}': 1,
    '{type="unknown",outcome="refused",status="404"}': 1,
  });
  // what X-Cache said is what is counted; that a row is another's is found out after it was read
  expect(words).toEqual(['MISS', 'HIT']);
  expect(await counts('fleet_cache_reads_total')).toEqual({
    '{kind="instance",result="miss"}': 1,
    '{kind="instance",result="local"}': 2,
  });
});
