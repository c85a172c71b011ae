import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import { fleetOfThisFile, instanceIdOf, provisionRequest, until } from '#shared/testing/fleet.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import {
  carryOut,
  instanceSeen,
  lifeRequest,
  operationsOf,
  outcomeOf,
  runningInstance,
  settled,
} from '#shared/testing/life.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true });

type Failed = { operation: string | null; customer: string | null; code: string; text: string };

/** Asks, expects a refusal, and gives the event that says why. */
async function refusalOf(event: ReturnType<typeof lifeRequest>): Promise<Failed> {
  const { instance } = event.data as { instance: string };
  const before = (await operationsOf(fleet(), instance)).length;
  await fleet().publish(event);
  expect(await outcomeOf(fleet(), event)).toMatch(/^refused: /);
  expect((await operationsOf(fleet(), instance)).length).toBe(before);
  const told = await fleet().rows<{ data: Failed }>(
    `select o.data from outbox o join audit a on a.detail ->> 'event' = $1
     where o.type like '%.failed' and o.data ->> 'instance' = $2 and o.data ->> 'text' = a.detail ->> 'text'
     order by o.sequence desc limit 1`,
    [event.id, instance],
  );
  if (told[0] === undefined) throw new Error('nobody was told of the refusal');
  return told[0].data;
}

describe('a suspended instance', () => {
  it('is started by nobody but a resume of its reason, and data is not touched meanwhile', async () => {
    const id = await runningInstance(fleet(), 'gated');
    const query = `insert into ir_config_parameter (key, value) values ('kept', 'yes') returning id`;
    await queryAsSuperuser(fleet().servers.odoo, query, { database: namesOf(id).database });
    await carryOut(fleet(), 'suspend', id, { cause: 'abuse' });
    for (const kind of ['start', 'restart'] as const) {
      expect(await refusalOf(lifeRequest(kind, id))).toMatchObject({ code: 'suspended', operation: null });
    }
    expect(await refusalOf(lifeRequest('resume', id, { cause: 'billing' }))).toMatchObject({ code: 'not-allowed' });
    expect(await instanceSeen(fleet(), id)).toMatchObject({ status: 'suspended' });
    await carryOut(fleet(), 'resume', id, { cause: 'abuse' });
    const kept = `select value from ir_config_parameter where key = 'kept'`;
    expect(await queryAsSuperuser(fleet().servers.odoo, kept, { database: namesOf(id).database })).toEqual([
      { value: 'yes' },
    ]);
  });

  it('that was stopped before is stopped after', async () => {
    const id = await runningInstance(fleet(), 'slept');
    await carryOut(fleet(), 'stop', id);
    await carryOut(fleet(), 'suspend', id, { cause: 'billing' });
    expect(await until('the page', async () => (await fleet().loginPage('slept')) === 402)).toBe(true);
    expect(await carryOut(fleet(), 'resume', id, { cause: 'billing' })).toMatchObject({ status: 'stopped' });
  });
});

describe('what comes late', () => {
  it('a suspend that is older than the resume after it changes nothing', async () => {
    const id = await runningInstance(fleet(), 'late');
    const resume = lifeRequest('resume', id, { cause: 'billing', sequence: 2 });
    expect(await refusalOf(resume)).toMatchObject({ code: 'not-allowed' });
    const suspend = lifeRequest('suspend', id, { cause: 'billing', sequence: 1 });
    expect(await refusalOf(suspend)).toMatchObject({ code: 'superseded' });
    expect(await settled(fleet(), id)).toMatchObject({ status: 'running' });
  });
});

describe('an event that names an instance', () => {
  it('that is not there has no effect, and is recorded', async () => {
    const event = lifeRequest('terminate', 'aaaaaaaaaaaa');
    const told = await refusalOf(event);
    expect(told).toMatchObject({ code: 'not-found', customer: null, text: 'There is no instance aaaaaaaaaaaa.' });
  });

  it('of another customer than its source speaks for is told the same as if there were none', async () => {
    const id = await runningInstance(fleet(), 'theirs');
    const source = 'urn:test:of-one-customer';
    await fleet().rows(`insert into customers (id) values ('c-other') on conflict do nothing returning id`);
    await fleet().rows(
      `insert into sources (source, event_type, customer_id) values ($1, '*', 'c-other') returning source`,
      [source],
    );
    const told = await refusalOf({ ...lifeRequest('stop', id), source });
    expect(told).toEqual(
      expect.objectContaining({ code: 'not-found', customer: null, text: `There is no instance ${id}.` }),
    );
    const operation = await fleet().operationOf(id);
    const data = { operation: operation?.id, instance: id, kind: 'provision', reason: 'Mine.' };
    const cancel = { id: randomUUID(), type: 'dev.odoofleet.operation.cancel', source, data };
    expect((await fleet().deliver('provision', { ...cancel, attributes: { opkind: 'provision' } })).outcome).toBe(
      'refused',
    );
    expect(await instanceSeen(fleet(), id)).toMatchObject({ status: 'running' });
  });

  it('that is terminated has no effect, and is recorded', async () => {
    const id = await runningInstance(fleet(), 'over');
    await carryOut(fleet(), 'terminate', id);
    for (const kind of ['start', 'stop', 'restart'] as const) {
      expect(await refusalOf(lifeRequest(kind, id))).toMatchObject({ code: 'terminated' });
    }
    expect(await refusalOf(lifeRequest('suspend', id, { cause: 'billing' }))).toMatchObject({ code: 'terminated' });
    expect(await refusalOf(lifeRequest('terminate', id))).toMatchObject({ code: 'terminated' });
    expect(await instanceSeen(fleet(), id)).toMatchObject({ status: 'terminated' });
  });
});

describe('a termination', () => {
  it('frees the name at once; who takes it gets a new database, and an undo then comes back under a longer name', async () => {
    const first = await runningInstance(fleet(), 'atelier');
    const mark = `insert into ir_config_parameter (key, value) values ('whose', 'first') returning id`;
    await queryAsSuperuser(fleet().servers.odoo, mark, { database: namesOf(first).database });
    await carryOut(fleet(), 'terminate', first);

    const second = await runningInstance(fleet(), 'atelier', { customer: 'customer-second' });
    expect(second).not.toBe(first);
    const whose = `select value from ir_config_parameter where key = 'whose'`;
    expect(await queryAsSuperuser(fleet().servers.odoo, whose, { database: namesOf(second).database })).toEqual([]);

    const restored = await carryOut(fleet(), 'undo', first);
    expect(restored).toMatchObject({ status: 'running' });
    expect(restored.host).toMatch(new RegExp(`^atelier-${first.slice(0, 6)}\\.`));
    expect(await queryAsSuperuser(fleet().servers.odoo, whose, { database: namesOf(first).database })).toEqual([
      { value: 'first' },
    ]);
    const url = await queryAsSuperuser<{ value: string }>(
      fleet().servers.odoo,
      `select value from ir_config_parameter where key = 'web.base.url'`,
      { database: namesOf(first).database },
    );
    expect(url[0]?.value).toContain(`//atelier-${first.slice(0, 6)}.`);
    const told = await fleet().rows<{ url: string }>(
      `select data ->> 'url' as url from outbox where type = 'dev.odoofleet.instance.undo.succeeded'
         and data ->> 'instance' = $1`,
      [first],
    );
    expect(told).toEqual([{ url: expect.stringContaining(`//atelier-${first.slice(0, 6)}.`) }]);
  });

  it('lets nobody into the database, keeps files and passwords, and is undone to what was before', async () => {
    const id = await runningInstance(fleet(), 'aside');
    await carryOut(fleet(), 'stop', id);
    await carryOut(fleet(), 'terminate', id);
    const databases = await queryAsSuperuser<{ datname: string; datallowconn: boolean }>(
      fleet().servers.odoo,
      `select datname, datallowconn from pg_database where datname like '%' || '${id}' || '%'`,
    );
    expect(databases).toEqual([{ datname: `tombstone_${id}`, datallowconn: false }]);
    const traces = await fleet().tracesOf(id);
    expect(traces.objects.toSorted()).toEqual([
      expect.stringContaining('PersistentVolumeClaim'),
      expect.stringContaining('Secret'),
    ]);
    expect(await carryOut(fleet(), 'undo', id)).toMatchObject({ status: 'stopped', desired_state: 'stopped' });
    expect(await carryOut(fleet(), 'start', id)).toMatchObject({ status: 'running' });
    expect(await until('the page', async () => (await fleet().loginPage('aside')) === 200)).toBe(true);
  });

  it('overtakes a provisioning, and leaves nothing that runs', async () => {
    // There is no template for these modules: it waits for an init Job.
    const event = provisionRequest('hasty', { modules: ['crm', 'sale', 'stock'] });
    await fleet().publish(event);
    const id = instanceIdOf(event);
    await until('the Job', async () => (await fleet().operationOf(id))?.waiting_for?.startsWith('Job'));
    const end = await carryOut(fleet(), 'terminate', id);
    expect(end).toMatchObject({ status: 'terminated', host: null });
    expect((await operationsOf(fleet(), id)).map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      'provision cancelled',
      'terminate succeeded',
    ]);
    expect(await refusalOf(lifeRequest('undo', id))).toMatchObject({ code: 'not-allowed' });
  });
});

describe('the same wish', () => {
  it('ten times at once is one operation', async () => {
    const id = await runningInstance(fleet(), 'eager');
    const events = Array.from({ length: 10 }, () => lifeRequest('restart', id));
    await Promise.all(events.map((event) => fleet().publish(event)));
    const outcomes = await Promise.all(events.map((event) => outcomeOf(fleet(), event)));
    await settled(fleet(), id);
    const restarts = (await operationsOf(fleet(), id)).filter(({ kind }) => kind === 'restart');
    expect(restarts.length).toBe(outcomes.filter((outcome) => outcome === 'accepted').length);
    expect(restarts.length).toBeLessThanOrEqual(3);
    expect(outcomes.filter((outcome) => outcome === 'coalesced').length).toBe(10 - restarts.length);
  });
});

describe('a suspension', () => {
  it('overtakes a start that takes its time', async () => {
    const id = await runningInstance(fleet(), 'slow');
    await carryOut(fleet(), 'stop', id);
    const start = lifeRequest('start', id);
    const suspend = lifeRequest('suspend', id, { cause: 'billing' });
    await fleet().publish(start);
    await outcomeOf(fleet(), start);
    await fleet().publish(suspend);
    await outcomeOf(fleet(), suspend);
    expect(await settled(fleet(), id)).toMatchObject({ status: 'suspended', desired_state: 'running' });
    expect(await carryOut(fleet(), 'resume', id, { cause: 'billing' })).toMatchObject({ status: 'running' });
  });
});
