import { afterAll, describe, expect, it } from 'vitest';
import { fleetOfThisFile, instanceIdOf, provisionRequest, type TestEvent, until } from '#shared/testing/fleet.ts';
import { objectsOf } from '#shared/testing/fleet-traces.ts';
import { scanForSecrets } from '#shared/testing/secret-scan.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';

let proxy: TcpProxy | undefined;

const fleet = fleetOfThisFile({
  waitsForWarm: true,
  // servers crash here, and what was committed must be there afterwards
  durable: true,
  // a process that dies holds its lease for this long
  functionSettings: { LEASE_MS: '5000' },
  async functionBouncer(bouncer) {
    proxy = await startTcpProxy(bouncer);
    return proxy;
  },
});
afterAll(() => proxy?.close());

/** Publishes the request, lets `mishap` happen, and expects one whole instance all the same. */
async function provisionThrough(event: TestEvent, mishap: () => Promise<void>): Promise<void> {
  const id = instanceIdOf(event);
  const { name } = event.data as { name: string };
  await fleet().publish(event);
  await mishap();
  await fleet().operationIn('succeeded', id);
  expect(await fleet().rows('select 1 from operations where instance_id = $1', [id])).toHaveLength(1);
  expect(await fleet().rows('select 1 from instances where name = $1', [name])).toHaveLength(1);
  // What a statement whose connection broke has made all the same is the tick's to sweep.
  await until('what is half made to be gone', async () => (await fleet().tracesOf(id)).databases.length === 1);
  const { databases, roles, objects } = await fleet().tracesOf(id);
  expect(databases).toEqual([`odoo_${id}`]);
  expect(roles).toEqual([`odoo_${id}`, `odoo_${id}_owner`]);
  // an init Job stays for a while after its end, for its log, and its Secret with it
  const lasting = objects.filter((object) => !object.startsWith('Pod/') && !object.includes('-init-'));
  expect(lasting.sort()).toEqual(objectsOf(id).sort());
  expect(await until('the page', async () => (await fleet().loginPage(name)) === 200)).toBe(true);
}

const calm = async (): Promise<void> => undefined;

/** Every count of a server is what it counts. */
async function expectRightCount(): Promise<void> {
  const rows = await fleet().rows<{ counted: number; instances: number }>(
    `select instance_count as counted, (select count(*)::integer from instances i where i.db_server_id = s.id) as instances
     from db_servers s`,
  );
  expect(rows).not.toEqual([]);
  for (const { counted, instances } of rows) expect(counted).toBe(instances);
}

/** What the functions have noted of these instances' steps, in one text that changes with each of them; undefined at the end. */
async function notedOf(ids: readonly string[]): Promise<string | undefined> {
  const text = `select count(distinct o.id) filter (where o.state = 'succeeded')::integer as over, string_agg(s::text, ' ' order by s::text) as noted
    from operations o left join operation_steps s on s.operation_id = o.id where o.instance_id = any($1)`;
  const [row] = await fleet().rows<{ over: number; noted: string | null }>(text, [ids]);
  return row?.over === ids.length ? undefined : (row?.noted ?? '');
}

/** Does it so many times at most, each time when something new was noted: the fault falls on whatever comes next. */
async function whileTheyWork(events: readonly TestEvent[], times: number, fault: (round: number) => Promise<void>) {
  const ids = events.map(instanceIdOf);
  let before: string | undefined = '';
  let round = 0;
  for (; round < times; round += 1) {
    const { noted } = await until(
      'another step to be noted',
      async () => {
        const now = await notedOf(ids);
        return now !== before && { noted: now };
      },
      { everyMs: 10 },
    );
    if (noted === undefined) break;
    before = noted;
    await fault(round);
  }
  expect(round).toBeGreaterThan(0);
}

describe('Redis', () => {
  it('stopped in the middle of an operation changes nothing', async () => {
    await provisionThrough(provisionRequest('redis-midway'), () => fleet().servers.redis.stop());
  });

  it('down when the functions start changes nothing', async () => {
    await fleet().functions.stop('provision');
    await fleet().functions.stop('observe');
    await provisionThrough(provisionRequest('redis-down'), calm);
  });
});

describe('PgBouncer', () => {
  it('restarted again and again in the middle of operations delays and loses nothing', async () => {
    const events = ['one', 'two', 'three'].map((name) => provisionRequest(`bouncer-${name}`));
    const restarts = whileTheyWork(events, 4, async (round) => {
      await fleet().servers.bouncer.restart({ signal: round % 2 === 0 ? 'SIGTERM' : 'SIGKILL' });
    });
    await Promise.all(events.map((event) => provisionThrough(event, () => restarts)));
    await expectRightCount();
  });

  it('whose connections break whenever something is written delays and loses nothing', async () => {
    const event = provisionRequest('bouncer-cuts');
    await provisionThrough(event, () => whileTheyWork([event], 7, async () => proxy?.cutAll()));
    await expectRightCount();
  });
});

describe("COMMIT's answer", () => {
  it.each([
    ['never comes, though the commit took place', 'after'],
    ['never comes, because the commit never arrived', 'before'],
    ['is cut off while the server works on it', 'while'],
  ] as const)('%s: one instance all the same', async (_, when) => {
    const event = provisionRequest(`commit-${when}`);
    await fleet().functions.stop('provision');
    const cut = proxy?.cutAt('commit', { when });
    await provisionThrough(event, async () => {
      await cut;
    });
    await expectRightCount();
    const requested = await fleet().rows(
      `select 1 from audit where instance_id = $1 and action = 'provision.requested'`,
      [instanceIdOf(event)],
    );
    expect(requested).toHaveLength(1);
  });
});

describe('a broker that loses every event of ours after the row exists', () => {
  it('delays the work until the tick, which finishes it', async () => {
    fleet().broker.setFaults({
      random: 1,
      dropPercent: 100,
      dropTypes: [
        'dev.odoofleet.operation.advance',
        'dev.knative.apiserver.resource.add',
        'dev.knative.apiserver.resource.update',
        'dev.knative.apiserver.resource.delete',
      ],
    });
    try {
      await Promise.all([
        provisionThrough(provisionRequest('lossy'), calm),
        provisionThrough(provisionRequest('lossy-job', { modules: ['crm'] }), calm),
      ]);
    } finally {
      fleet().broker.setFaults(undefined);
    }
  });

  it('and one that sends everything twice and out of order makes nothing twice', async () => {
    fleet().broker.setFaults({ random: 7, duplicatePercent: 100, delayMs: 700 });
    try {
      await provisionThrough(provisionRequest('doubled'), calm);
      await fleet().broker.idle();
    } finally {
      fleet().broker.setFaults(undefined);
    }
    await expectRightCount();
  });
});

describe('a PostgreSQL server', () => {
  it.each(['odoo', 'platform'] as const)('(%s) that crashes in the middle of an operation delays it', async (which) => {
    const event = provisionRequest(`crash-${which}`);
    await provisionThrough(event, async () => {
      await until('the operation', () => fleet().operationOf(instanceIdOf(event)), { everyMs: 10 });
      await fleet().servers[which].restart({ signal: 'SIGQUIT' });
    });
    await expectRightCount();
  });
});

it('leaves no secret anywhere', async () => {
  expect((await scanForSecrets(fleet())).leaks).toEqual([]);
});
