import { describe, expect, it } from 'vitest';
import { fleetOfThisFile, instanceIdOf, provisionRequest, until } from '#shared/testing/fleet.ts';
import { objectsOf } from '#shared/testing/fleet-traces.ts';
import { scanForSecrets } from '#shared/testing/secret-scan.ts';

const fleet = fleetOfThisFile({ warm: true, maxScale: { provision: 5 }, waitsForWarm: true });

const numbered = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);

/** What the server's counter says, and what it counts. */
async function placed(): Promise<{ counted: number; instances: number; room: number }> {
  const [row] = await fleet().rows<{ counted: number; instances: number; room: number }>(
    `select instance_count as counted, max_instances - instance_count as room,
       (select count(*)::integer from instances i where i.db_server_id = s.id) as instances from db_servers s`,
  );
  if (row === undefined) throw new Error('there is no server');
  return row;
}

const giveRoom = (count: number) => fleet().rows('update db_servers set max_instances = instance_count + $1', [count]);

const crowdIn = (state: string) =>
  fleet().rows<{ waiting_for: string | null }>(
    `select o.waiting_for from operations o join instances i on i.id = o.instance_id
     where i.name like 'crowd-%' and o.state = $1`,
    [state],
  );

describe('the same event ten times at once on five processes', () => {
  const event = provisionRequest('same');
  const id = instanceIdOf(event);

  it('is answered 204 ten times', async () => {
    expect(
      fleet()
        .functions.running()
        .filter(({ name }) => name === 'provision'),
    ).toHaveLength(5);
    const answers = await Promise.all(Array.from({ length: 10 }, () => fleet().deliver('provision', event)));
    expect(answers.map(({ status, body }) => ({ status, body }))).toEqual(
      Array.from({ length: 10 }, () => ({ status: 204, body: '' })),
    );
    expect(answers.filter(({ outcome }) => outcome === 'duplicate')).toHaveLength(9);
    const handled = await Promise.all(
      fleet()
        .functions.running()
        .filter(({ name }) => name === 'provision')
        .map(async ({ port }) => (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).includes(event.type)),
    );
    expect(handled).toEqual([true, true, true, true, true]);
  });

  it('makes one instance, one database, one set of objects and one audit entry', async () => {
    await fleet().operationIn('succeeded', id);
    expect(await fleet().rows(`select id from instances where name = 'same'`)).toEqual([{ id }]);
    expect(await fleet().rows('select 1 from operations')).toHaveLength(1);
    expect(await fleet().rows('select action from audit order by sequence')).toEqual([
      { action: 'provision.requested' },
      { action: 'provision.succeeded' },
    ]);
    const { databases, roles, objects } = await fleet().tracesOf(id);
    expect(databases).toEqual([`odoo_${id}`]);
    expect(roles).toEqual([`odoo_${id}`, `odoo_${id}_owner`]);
    expect(objects.filter((name) => !name.startsWith('Pod/')).sort()).toEqual(objectsOf(id).sort());
    expect(objects.filter((name) => name.startsWith('Pod/'))).toHaveLength(1);
    expect(await placed()).toMatchObject({ counted: 1, instances: 1 });
  });

  it('tells of it once', async () => {
    const told = await until('the outbox to be empty', async () => {
      const rows = await fleet().rows<{ type: string; published: boolean }>(
        'select type, published_at is not null as published from outbox order by type',
      );
      return rows.every(({ published }) => published) && rows.map(({ type }) => type);
    });
    // An advance tells a function to look; there may be any number of them.
    expect(told.filter((type) => type !== 'dev.odoofleet.operation.advance')).toEqual([
      'dev.odoofleet.instance.provision.accepted',
      'dev.odoofleet.instance.provisioned',
      'dev.odoofleet.instance.status.changed',
      'dev.odoofleet.instance.status.changed',
      'dev.odoofleet.notification.requested',
    ]);
  });
});

describe('fifty requests at once for a server with room for ten', () => {
  it('are placed ten times, and forty wait with the reason', async () => {
    await giveRoom(10);
    const events = numbered(50, 'crowd').map((name) => provisionRequest(name));
    const answers = await Promise.all(events.map((event) => fleet().publish(event)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    await until(
      'ten to run and forty to wait',
      async () => (await crowdIn('succeeded')).length === 10 && (await crowdIn('waiting')).length === 40,
      { timeoutMs: 120_000 },
    );
    const waiting = await crowdIn('waiting');
    expect(waiting.every(({ waiting_for: what }) => what?.includes('no-capacity'))).toBe(true);
    expect(await placed()).toEqual({ counted: 11, instances: 11, room: 0 });
    const reasons = await fleet().rows<{ reason: string; operations: number }>(
      `select min(error_text) as reason, count(distinct operation_id)::integer as operations from operation_steps
       where step = 'place' and error_code = 'no-capacity'`,
    );
    expect(reasons[0]?.operations).toBeGreaterThanOrEqual(40);
    expect(reasons[0]?.reason).toContain('raise max_instances');
  });

  it('go on by themselves when there is room, as many as fit', async () => {
    await giveRoom(3);
    await until('three more to run', async () => (await crowdIn('succeeded')).length === 13, { timeoutMs: 90_000 });
    expect(await placed()).toEqual({ counted: 14, instances: 14, room: 0 });
    expect(await crowdIn('failed')).toEqual([]);
  });
});

describe('requests at once', () => {
  it('of one customer are accepted up to the quota, and refused with an event and a line in the audit', async () => {
    const events = numbered(8, 'greedy').map((name) => provisionRequest(name, { customer: 'greedy' }));
    const answers = await Promise.all(events.map((event) => fleet().deliver('provision', event)));
    expect(answers.map(({ status }) => status)).toEqual(events.map(() => 204));
    expect(answers.filter(({ outcome }) => outcome === 'refused')).toHaveLength(3);
    expect(await fleet().rows(`select 1 from instances where customer_id = 'greedy'`)).toHaveLength(5);
    const refusal = { code: 'quota-exceeded', text: expect.stringContaining('has 5 instances and may have 5') };
    expect(
      await fleet().rows(
        `select detail ->> 'code' as code, detail ->> 'text' as text from audit where action = 'provision.refused'`,
      ),
    ).toEqual([refusal, refusal, refusal]);
    expect(
      await fleet().rows(
        `select data ->> 'code' as code, data ->> 'text' as text from outbox
         where type = 'dev.odoofleet.instance.provision.failed' and data ->> 'customer' = 'greedy'`,
      ),
    ).toEqual([refusal, refusal, refusal]);
  });

  it('for one name are accepted once', async () => {
    const events = numbered(4, 'rival').map((customer) => provisionRequest('coveted', { customer }));
    const answers = await Promise.all(events.map((event) => fleet().deliver('provision', event)));
    expect(answers.filter(({ outcome }) => outcome === 'refused')).toHaveLength(3);
    expect(await fleet().rows(`select 1 from instances where name = 'coveted'`)).toHaveLength(1);
    expect(
      await fleet().rows(
        `select distinct detail ->> 'code' as code from audit where detail ->> 'text' like '%coveted%'`,
      ),
    ).toEqual([{ code: 'host-taken' }]);
  });
});

it('leaves no secret anywhere', async () => {
  expect((await scanForSecrets(fleet())).leaks).toEqual([]);
});
