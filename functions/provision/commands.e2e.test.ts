import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { fleetOfThisFile, instanceIdOf, provisionRequest, type TestEvent, until } from '#shared/testing/fleet.ts';
import { objectsOf, queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { scanForSecrets } from '#shared/testing/secret-scan.ts';

const fleet = fleetOfThisFile({ waitsForWarm: true });

const instanceOf = async (id: string) =>
  (
    await fleet().rows<{ status: string; host: string | null; db_server_id: string | null }>(
      'select status, host, db_server_id from instances where id = $1',
      [id],
    )
  )[0];

const placedInstances = async () =>
  (await fleet().rows<{ count: number }>('select instance_count as count from db_servers'))[0]?.count;

const statusesTold = async (id: string) =>
  (
    await fleet().rows<{ to: string }>(
      `select data ->> 'to' as to from outbox
       where type = 'dev.odoofleet.instance.status.changed' and data ->> 'instance' = $1 order by sequence`,
      [id],
    )
  ).map(({ to }) => to);

const modulesIn = async (id: string) =>
  (
    await queryAsSuperuser<{ name: string }>(
      fleet().servers.odoo,
      `select name from ir_module_module where state = 'installed' order by name`,
      { database: namesOf(id).database },
    )
  ).map(({ name }) => name);

/** Fails for good: the init Job ends badly, because there is no such module. */
async function failedByJob(event: TestEvent): Promise<string> {
  await fleet().publish(event);
  const failed = await fleet().operationIn('failed', instanceIdOf(event));
  expect(failed).toMatchObject({ step: 'database', error_code: 'job-failed' });
  return instanceIdOf(event);
}

const services = `/api/v1/namespaces/${tenantNamespace}/services`;

describe('modules for which there is no template', () => {
  it('are installed by a Job, which is waited for', async () => {
    const event = provisionRequest('modules', { modules: ['crm', 'sale'] });
    await fleet().publish(event);
    await fleet().operationIn('succeeded', instanceIdOf(event));
    expect(await modulesIn(instanceIdOf(event))).toEqual(expect.arrayContaining(['base', 'crm', 'sale']));
    expect(await until('the page', async () => (await fleet().loginPage('modules')) === 200)).toBe(true);
    const waits = await fleet().rows(
      `select 1 from operation_steps where step = 'database' and outcome = 'waiting'
         and operation_id = (select id from operations where instance_id = $1)`,
      [instanceIdOf(event)],
    );
    expect(waits.length).toBeGreaterThan(0);
  });
});

describe('an operation that failed', () => {
  const event = provisionRequest('broken', { modules: ['no_such_module'] });
  const id = instanceIdOf(event);

  it('tells why, and keeps its place and what it made', async () => {
    await failedByJob(event);
    expect(await instanceOf(id)).toMatchObject({ status: 'error', db_server_id: 'odoo-1' });
    const told = await fleet().rows<{ code: string; text: string }>(
      `select data ->> 'code' as code, data ->> 'text' as text from outbox
       where type = 'dev.odoofleet.instance.provision.failed' and data ->> 'instance' = $1`,
      [id],
    );
    expect(told).toEqual([
      {
        code: 'job-failed',
        text: expect.stringMatching(/^Job \S+, which initialises the database, failed: .+See its log/),
      },
    ]);
    const { databases, roles, objects } = await fleet().tracesOf(id);
    expect(databases).toEqual([`odoo_${id}`]);
    expect(roles).toHaveLength(2);
    expect(objects).toContain(`Secret/${namesOf(id).credentialsSecret}`);
  });

  it('is left alone by advances and ticks', async () => {
    const before = await fleet().operationOf(id);
    await fleet().command('advance', id);
    await fleet().broker.idle();
    expect(await fleet().operationOf(id)).toEqual(before);
  });

  it('is undone by a cancel: nothing is left, and its room and its host are free', async () => {
    const placedBefore = (await placedInstances()) ?? 0;
    await fleet().command('cancel', id);
    await fleet().operationIn('cancelled', id);
    expect(await instanceOf(id)).toEqual({ status: 'terminated', host: null, db_server_id: null });
    expect(await placedInstances()).toBe(placedBefore - 1);
    await until('everything of it to be gone', async () => {
      const traces = await fleet().tracesOf(id);
      return Object.values(traces).flat().length === 0;
    });
    expect(await statusesTold(id)).toEqual(['starting', 'error', 'terminated']);
  });

  it('is over: neither command means anything to it', async () => {
    await fleet().command('retry', id);
    await fleet().command('cancel', id);
    await fleet().broker.idle();
    expect(await fleet().operationOf(id)).toMatchObject({ state: 'cancelled' });
    const ignored = await fleet().rows<{ action: string }>(
      `select action from audit where instance_id = $1 and action like '%.ignored' order by sequence`,
      [id],
    );
    expect(ignored.map(({ action }) => action)).toEqual(['provision.retry.ignored', 'provision.cancel.ignored']);
  });

  it('leaves a name that can be asked for again, and gets nothing of the old one', async () => {
    const again = provisionRequest('broken');
    await fleet().publish(again);
    await fleet().operationIn('succeeded', instanceIdOf(again));
    const { databases } = await fleet().tracesOf(instanceIdOf(again));
    expect(databases).toEqual([`odoo_${instanceIdOf(again)}`]);
    expect(await until('the page', async () => (await fleet().loginPage('broken')) === 200)).toBe(true);
  });
});

describe('a retry', () => {
  it('continues at the failed step once its cause is gone', async () => {
    const event = provisionRequest('blocked');
    const id = instanceIdOf(event);
    const name = namesOf(id).object;
    const foreign = { metadata: { name }, spec: { ports: [{ port: 80 }] } };
    expect((await fleet().cluster.request('POST', services, { body: foreign })).status).toBe(201);
    await fleet().publish(event);
    const failed = await fleet().operationIn('failed', id);
    expect(failed).toMatchObject({ step: 'service', error_code: 'foreign-object', round: 1 });
    const kept = (await fleet().cluster.request('GET', `${services}/${name}`)).body['metadata'];
    expect(kept).not.toHaveProperty('labels');
    const adminPassword = await secretOf(id);

    await fleet().cluster.request('DELETE', `${services}/${name}`);
    await fleet().command('retry', id);
    expect(await fleet().operationIn('succeeded', id)).toMatchObject({ round: 2 });
    expect(await secretOf(id)).toEqual(adminPassword);
    const steps = await fleet().rows<{ step: string }>(
      `select step from operation_steps where operation_id = $1 group by step having count(*) > 1`,
      [failed.id],
    );
    expect(steps.map(({ step }) => step).filter((step) => step !== 'ready')).toEqual(['service']);
    const { objects } = await fleet().tracesOf(id);
    expect(objects).toEqual(expect.arrayContaining(objectsOf(id)));
    expect(await statusesTold(id)).toEqual(['starting', 'error', 'starting', 'running']);
  });

  it('of an initialisation that failed begins it from nothing', async () => {
    const event = provisionRequest('mistyped', { modules: ['crn'] });
    const id = await failedByJob(event);
    await fleet().rows(`update instances set modules = '{crm}' where id = $1`, [id]);
    await fleet().command('retry', id);
    await fleet().operationIn('succeeded', id);
    expect(await modulesIn(id)).toContain('crm');
  });

  it('fails again while its cause is there', async () => {
    const event = provisionRequest('hopeless', { modules: ['no_such_module'] });
    const id = await failedByJob(event);
    await fleet().command('retry', id);
    const operation = await until('the second round to fail', async () => {
      const seen = await fleet().operationOf(id);
      return seen?.round === 2 && seen.state === 'failed' && seen;
    });
    expect(operation).toMatchObject({ step: 'database', error_code: 'job-failed' });
    await fleet().command('cancel', id);
    await fleet().operationIn('cancelled', id);
  });
});

describe('a cancel', () => {
  it('stops an operation that is at work, and undoes it', async () => {
    const event = provisionRequest('withdrawn', { modules: ['crm'] });
    const id = instanceIdOf(event);
    await fleet().publish(event);
    await until('the Job to be waited for', async () =>
      (await fleet().operationOf(id))?.waiting_for?.startsWith('Job'),
    );
    await fleet().command('cancel', id);
    await fleet().operationIn('cancelled', id);
    await until('everything of it to be gone', async () => {
      const traces = await fleet().tracesOf(id);
      return Object.values(traces).flat().length === 0;
    });
  });

  it('of an operation that succeeded is ignored', async () => {
    const event = provisionRequest('happy');
    const id = instanceIdOf(event);
    await fleet().publish(event);
    await fleet().operationIn('succeeded', id);
    await fleet().command('cancel', id);
    await fleet().broker.idle();
    expect(await fleet().operationOf(id)).toMatchObject({ state: 'succeeded' });
    expect(await until('the page', async () => (await fleet().loginPage('happy')) === 200)).toBe(true);
  });

  it('of an operation that nobody knows is kept as a bad event', async () => {
    const [operation, instance] = [randomUUID(), 'aaaaaaaaaaaa'];
    const event = {
      id: randomUUID(),
      type: 'dev.odoofleet.operation.cancel',
      source: 'urn:test:user-service',
      data: { operation, instance, kind: 'provision', reason: 'a test asked for it' },
      attributes: { subject: instance },
    };
    expect(await fleet().deliver('provision', event)).toMatchObject({ status: 204, outcome: 'refused' });
    const dead = await fleet().rows('select reason_code, reason from dead_events where id = $1', [event.id]);
    expect(dead).toEqual([{ reason_code: 'not-found', reason: expect.stringContaining(operation) }]);
  });
});

it('leaves no secret anywhere', async () => {
  expect((await scanForSecrets(fleet())).leaks).toEqual([]);
});

async function secretOf(id: string): Promise<unknown> {
  const path = `/api/v1/namespaces/${tenantNamespace}/secrets/${namesOf(id).credentialsSecret}`;
  return (await fleet().cluster.request('GET', path)).body['data'];
}
