import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { keyFor, type StartedApi, startApi } from './started-api.fixture.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true, functionSettings: { LEASE_MS: '5000' } });

let api: StartedApi;
const between: Record<'postgres' | 'redis' | 'broker', TcpProxy | undefined> = {
  postgres: undefined,
  redis: undefined,
  broker: undefined,
};

beforeAll(async () => {
  const { bouncer, redis } = fleet().servers;
  const broker = new URL(fleet().broker.url);
  const proxyTo = async (what: keyof typeof between, target: { host: string; port: number }) => {
    const proxy = await startTcpProxy(target);
    between[what] = proxy;
    return String(proxy.port);
  };
  const brokerPort = await proxyTo('broker', { host: broker.hostname, port: Number(broker.port) });
  api = await startApi(fleet(), {
    key: await keyFor(fleet(), 'admin'),
    settings: {
      PLATFORM_POSTGRES_HOST: '127.0.0.1',
      PLATFORM_POSTGRES_PORT: await proxyTo('postgres', bouncer),
      REDIS_HOST: '127.0.0.1',
      REDIS_PORT: await proxyTo('redis', redis),
      BROKER_URL: `http://127.0.0.1:${brokerPort}${broker.pathname}`,
    },
  });
});
afterAll(async () => {
  await api?.stop();
  for (const proxy of Object.values(between)) await proxy?.close();
});

const wanted = (name: string) => ({
  name,
  customer: `customer-${name}`,
  plan: 'small',
  owner: { email: 'owner@acme.example' },
});

/** Asks, expects a 202, and gives the operation. */
async function asked(method: string, path: string, body?: unknown): Promise<{ id: string; instanceId: string }> {
  const answer = await api.ask(method, path, body === undefined ? {} : { body });
  expect([answer.status, answer.body]).toEqual([202, expect.objectContaining({ outcome: 'accepted' })]);
  return answer.body;
}

/** Polls the operation, as a caller does. */
async function over(id: string): Promise<string> {
  return await until(`operation ${id} to be over`, async () => {
    const { body } = await api.ask('GET', `/v1/operations/${id}`);
    return (
      ['succeeded', 'failed', 'cancelled'].includes(body.state) && `${body.state} ${body.error?.text ?? ''}`.trim()
    );
  });
}

/** Events of the operation, to its end. */
async function told(id: string, key: string): Promise<string[]> {
  const answer = await fetch(`${api.url}/v1/operations/${id}/events`, { headers: { authorization: `Bearer ${key}` } });
  const text = await answer.text();
  return text
    .split('\n')
    .filter((line) => line.startsWith('event: '))
    .map((line) => line.slice(7));
}

describe('what is asked by HTTP', () => {
  test('is done: an instance runs, is backed up, stops and ends', async () => {
    const made = await asked('POST', '/v1/instances', wanted('asked'));
    const events = await told(made.id, await keyFor(fleet(), 'admin'));
    expect(events.at(-1)).toBe('end');
    expect(events.length).toBeGreaterThan(1);
    expect(await over(made.id)).toBe('succeeded');
    expect(await until('the page', async () => (await fleet().loginPage('asked')) === 200)).toBe(true);
    const path = `/v1/instances/${made.instanceId}`;
    expect(await over((await asked('POST', `${path}/backup`)).id)).toBe('succeeded');
    const changed = await api.ask('PATCH', path, { body: { settings: { osv_memory_count_limit: 7 } } });
    expect(changed).toMatchObject({ status: 202, body: { operation: { kind: 'restart' } } });
    expect(await over(changed.body.operation.id)).toBe('succeeded');
    const copy = await asked('POST', `${path}/clone`, { name: 'asked-copy' });
    expect(await over(copy.id)).toBe('succeeded');
    expect(await over((await asked('POST', `${path}/stop`)).id)).toBe('succeeded');
    expect(await over((await asked('DELETE', path)).id)).toBe('succeeded');
    expect(await over((await asked('POST', `${path}/undo`)).id)).toBe('succeeded');
  });
});

describe('a part of the platform that is down', () => {
  /** What is answered meanwhile, by route. */
  async function answers(name: string, instance: string): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    const calls = [
      ['POST', '/v1/instances', wanted(name)],
      ['POST', `/v1/instances/${instance}/restart`, {}],
      ['POST', '/v1/instances/batch', { command: 'restart', instances: [instance] }],
      ['PATCH', `/v1/instances/${instance}`, { desiredState: 'running' }],
      ['GET', '/v1/operations', undefined],
    ] as const;
    for (const [method, path, body] of calls) {
      const answer = await api.ask(method, path, body === undefined ? {} : { body });
      found[`${method} ${path.replace(instance, '{id}')}`] = answer.status;
      // whoever is told to come again is told when
      expect([path, answer.headers['retry-after'] !== undefined]).toEqual([path, [202, 503].includes(answer.status)]);
    }
    return found;
  }

  const well = {
    'POST /v1/instances': 202,
    'POST /v1/instances/{id}/restart': 202,
    'POST /v1/instances/batch': 200,
    'PATCH /v1/instances/{id}': 200,
    'GET /v1/operations': 200,
  };
  const unavailable = Object.fromEntries(Object.keys(well).map((route) => [route, 503]));

  test.each([
    ['broker', well],
    ['redis', well],
    ['postgres', unavailable],
  ] as const)('(%s) is felt only where it is needed, and what was accepted is done', async (what, expected) => {
    const made = await asked('POST', '/v1/instances', wanted(`before-${what}`));
    expect(await over(made.id)).toBe('succeeded');
    between[what]?.refuse();
    between[what]?.cutAll();
    try {
      expect(await answers(`during-${what}`, made.instanceId)).toEqual(expected);
    } finally {
      between[what]?.accept();
    }
    const rows = await fleet().rows<{ id: string }>(
      'select o.id from operations o join instances i on i.id = o.instance_id where i.name in ($1, $2)',
      [`before-${what}`, `during-${what}`],
    );
    await until('the API to find its parts again', async () => (await api.ask('GET', '/v1/plans')).status === 200);
    for (const { id } of rows) expect(await over(id)).toBe('succeeded');
    const instances = await fleet().rows('select 1 from instances where name = $1', [`during-${what}`]);
    expect(instances).toHaveLength(what === 'postgres' ? 0 : 1);
  });

  test('(a broker that takes requests and never answers) keeps nobody from his answer', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const settings = { BROKER_URL: `http://127.0.0.1:${port}/` };
    const other = await startApi(fleet(), { key: await keyFor(fleet(), 'admin'), settings });
    try {
      // more than are sent at once: whoever flushes waits for all of them
      await fleet().rows(
        `insert into outbox (id, type, source, data, extensions)
         select gen_random_uuid(), 'example.waits', 'urn:odoo-fleet', '{}', '{}' from generate_series(1, 60)`,
      );
      const names = ['silent-one', 'silent-two', 'silent-three'];
      const answers = await Promise.all(
        names.map((name) => other.ask('POST', '/v1/instances', { body: wanted(name) })),
      );
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
      for (const { body } of answers) expect(await over(body.id)).toBe('succeeded');
    } finally {
      await other.stop();
      silent.closeAllConnections();
      silent.close();
    }
  });
});
