import { describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { beginMaking } from '#shared/runtime/making/ends.ts';
import { eventSource, instanceId, provisionsOfThisFile } from './operation.fixture.ts';

const { database, makeOperation, instance, told, statusesTold, audited } = provisionsOfThisFile();

describe('a provisioning', () => {
  test('ends with a running instance, told in the order it happened', async () => {
    const { go, objects, operationId } = await makeOperation();
    expect(await go()).toBe('succeeded');
    expect(await instance()).toMatchObject({ status: 'running', observed_generation: 1, db_server_id: 'one' });
    expect(objects.size).toBe(6);
    const events = await told();
    expect(events.map(({ type }) => type)).toEqual([
      'instance.status.changed',
      'instance.status.changed',
      'instance.provisioned',
      'notification.requested',
    ]);
    expect(await statusesTold()).toEqual(['creating starting', 'starting running']);
    expect(events[2]?.data).toMatchObject({ url: `https://n-${instanceId}.odoo.example`, operation: operationId });
    expect(await audited(operationId)).toEqual(['provision.succeeded']);
    const { rows } = await database().query<{ outcome: string }>('select distinct outcome from operation_steps');
    expect(rows).toEqual([{ outcome: 'done' }]);
    expect(await go()).toBe('finished');
    expect(await told()).toHaveLength(4);
  });

  test('that breaks off after its begin was written says it once', async () => {
    const { go, work } = await makeOperation();
    const { load } = work;
    work.load = async (operation) => {
      await load(operation);
      throw new Failure('unavailable', 'The process is gone.');
    };
    expect(await go()).toBe('waiting');
    expect(await statusesTold()).toEqual(['creating starting']);
    work.load = load;
    await database().query('update operations set not_before = null');
    expect(await go()).toBe('succeeded');
    expect(await statusesTold()).toEqual(['creating starting', 'starting running']);
  });

  test('whose last write was lost is written once', async () => {
    const { go, work } = await makeOperation();
    const { succeed } = work;
    work.succeed = async (context) => {
      await succeed(context);
      throw new Failure('outcome-unknown', 'The answer was lost.');
    };
    await expect(go()).rejects.toMatchObject({ code: 'outcome-unknown' });
    work.succeed = succeed;
    expect(await go()).toBe('finished');
    expect(await told()).toHaveLength(4);
  });

  test('under an old fence writes none of its ends', async () => {
    const { go, work, ports } = await makeOperation();
    ports.http.loginPageAnswers = async () => {
      // stopped for longer than its lease, and another has it
      await database().query('update operations set fence = fence + 1');
      return { answers: true, reason: '' };
    };
    expect(await go()).toBe('fenced');
    const { rows } = await database().query<{ fence: number; state: string }>('select fence, state from operations');
    expect(rows).toEqual([{ fence: 2, state: 'running' }]);
    expect(await statusesTold()).toEqual(['creating starting']);
    expect(await instance()).toMatchObject({ status: 'starting' });
    expect(work.definition.steps.at(-1)?.name).toBe('ready');
  });
});

describe('a failure', () => {
  const nasty = `exit code 1\nTraceback\u0000 \ud800 ${'and so on '.repeat(300)}`;

  test('keeps the work, and is told whatever its text holds', async () => {
    const { go, world, objects, operationId } = await makeOperation();
    world.warm = 0;
    expect(await go()).toBe('waiting');
    const [job] = world.started;
    world.jobs.set(job?.name ?? '', { state: 'failed', reason: nasty });
    expect(await go()).toBe('failed');
    expect(await instance()).toMatchObject({ status: 'error', db_server_id: 'one' });
    expect(world.secret).toBeDefined();
    expect(objects.size).toBeLessThanOrEqual(1);
    const events = await told();
    expect(events.map(({ type }) => type)).toEqual([
      'instance.status.changed',
      'instance.status.changed',
      'instance.provision.failed',
      'notification.requested',
    ]);
    expect(events[2]?.data).toMatchObject({ code: 'job-failed', text: expect.stringMatching(/exit code 1 Traceback/) });
    expect((await instance())['status_reason']).toHaveLength(500);
    expect(await audited(operationId)).toEqual(['provision.failed']);
  });

  test('is continued by a retry, with an announcement of its own for each round', async () => {
    const { go, world, command, operationId } = await makeOperation();
    world.warm = 0;
    await go();
    world.jobs.set(world.started[0]?.name ?? '', { state: 'failed', reason: 'exit code 1' });
    expect(await go()).toBe('failed');
    expect(await command('retry')).toBe('done');
    expect(await go()).toBe('waiting');
    expect(world.started.map(({ name }) => name.at(-1))).toEqual(['1', '2']);
    world.jobs.set(world.started[1]?.name ?? '', { state: 'failed', reason: 'exit code 1' });
    expect(await go()).toBe('failed');
    expect(await command('retry')).toBe('done');
    world.database = 'initialised';
    expect(await go()).toBe('succeeded');
    expect(await statusesTold()).toEqual([
      ...['creating starting', 'starting error', 'error starting'],
      ...['starting error', 'error starting', 'starting running'],
    ]);
    expect((await told()).filter(({ type }) => type === 'instance.provision.failed')).toHaveLength(2);
    expect(await audited(operationId)).toEqual([
      ...['provision.failed', 'provision.retry', 'provision.failed', 'provision.retry', 'provision.succeeded'],
    ]);
  });
});

test('the next operation of an instance is told of its turn when one ends, not when one begins', async () => {
  const first = await makeOperation();
  const second = await makeOperation();
  expect(await second.go()).toBe('queued');
  first.ports.http.loginPageAnswers = async () => ({ answers: false, reason: 'not yet' });
  expect(await first.go()).toBe('waiting');
  const turns = async () => (await told()).filter(({ type }) => type === 'operation.advance');
  expect(await turns()).toEqual([]);
  first.ports.http.loginPageAnswers = async () => ({ answers: true, reason: '' });
  expect(await first.go()).toBe('succeeded');
  expect(await turns()).toMatchObject([{ data: { operation: second.operationId, reason: 'Its turn has come.' } }]);
});

test('beginning leaves an instance alone that has begun or is over', async () => {
  const { work, operationId } = await makeOperation();
  await database().query(`update instances set status = 'running'`);
  const operation = { id: operationId, fence: 0 } as Parameters<typeof work.load>[0];
  const context = { operation, instance: { id: instanceId, status: 'running' } };
  await beginMaking(database(), context as Parameters<typeof beginMaking>[1], eventSource);
  expect(await told()).toEqual([]);
});
