import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventByType } from '#events/catalogue.ts';
import { checkData } from '#events/check.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { operationRecords } from '#shared/adapters/postgres/operation-records.ts';
import { insertOperation } from '#shared/adapters/postgres/operation-requests.ts';
import { placement } from '#shared/adapters/postgres/placement.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { TenantCluster } from '#shared/domain/instance/ports.ts';
import { newOperationId } from '#shared/domain/operation/identifiers.ts';
import { advance } from '#shared/runtime/operation/advance.ts';
import { commandOperation } from '#shared/runtime/operation/command.ts';
import { fakeInstancePorts } from '#shared/testing/fakes/instance-ports.ts';
import { insertCatalogue, insertServer, insertTestInstance } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { beginProvision } from './ends.ts';
import { provisionOperation } from './operation.ts';

const platform = platformOfThisFile();
const instanceId = 'abcdefgh2345';
const eventSource = 'urn:odoo-fleet';
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  await database.query(
    'truncate operations, operation_steps, inbox, outbox, instances, suspensions, db_servers cascade',
  );
  await insertServer(database, { id: 'one', maxInstances: 5 });
  await insertTestInstance(database, instanceId);
});

/** The real records, an Odoo server and a cluster in memory, and one operation to carry out. */
async function makeOperation() {
  const { world, ports } = fakeInstancePorts();
  world.warm = 5;
  const objects = new Set<string>();
  const cluster: TenantCluster = {
    look: async (_instance, part) => (objects.has(part) ? 'done' : 'missing'),
    apply: async (_instance, part) => void objects.add(part),
    remove: async (_instance, part) => void objects.delete(part),
    lookScale: async () => 'done',
    applyScale: async () => {},
    isGone: async (_instance, part) => !objects.has(part),
    countPods: async () => 0,
    availability: async () => ({ available: true, reason: '' }),
  };
  const http = { loginPageAnswers: async () => ({ answers: true, reason: '' }) };
  const all = { ...ports, cluster, http, placement: placement(database) };
  const work = provisionOperation(database, { ports: all, eventSource });
  const operationId = newOperationId();
  const { kind, version, deadlineMs } = work.definition;
  await insertOperation(database, {
    id: operationId,
    instanceId,
    kind,
    definitionVersion: version,
    deadlineMs,
    idempotencyKey: operationId,
    requestedBy: 'urn:user-service',
    cause: 'event ä\u{1f418}',
    request: {},
  });
  const options = { records: operationRecords(database), holder: 'test', leaseMs: 30_000, budgetMs: 25_000 };
  let commands = 0;
  const command = (word: 'retry' | 'cancel', change: { instanceId?: string; kind?: string; id?: string } = {}) =>
    commandOperation(
      database,
      {
        source: 'urn:console',
        id: change.id ?? `command ${(commands += 1)}`,
        type: `operation.${word}`,
        dataHash: Buffer.alloc(32, word),
      },
      {
        word,
        operationId,
        instanceId: change.instanceId ?? instanceId,
        definition: { ...work.definition, kind: change.kind ?? 'provision' },
        reason: 'Because.',
        customerId: null,
      },
    );
  return { world, objects, ports: all, work, operationId, command, go: () => advance(work, operationId, options) };
}

async function instance(): Promise<Record<string, unknown>> {
  const { rows } = await database.query<Record<string, unknown>>('select * from instances where id = $1', [instanceId]);
  return rows[0] ?? {};
}

/** What was told, in order; every event of it is one that its receivers can read. */
async function told(): Promise<{ type: string; data: Record<string, unknown> }[]> {
  const { rows } = await database.query<{ type: string; data: Record<string, unknown> }>(
    `select replace(type, 'dev.odoofleet.', '') as type, data from outbox order by sequence`,
  );
  for (const { type, data } of rows) {
    const definition = eventByType(`dev.odoofleet.${type}`);
    expect(definition && checkData(definition, data), type).toMatchObject({ accepted: true });
  }
  return rows;
}
const statusesTold = async () =>
  (await told())
    .filter(({ type }) => type === 'instance.status.changed')
    .map(({ data }) => `${String(data['from'])} ${String(data['to'])}`);
const audited = async (operationId: string) =>
  (
    await database.query<{ action: string }>('select action from audit where operation_id = $1 order by sequence', [
      operationId,
    ])
  ).rows.map(({ action }) => action);

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
    const { rows } = await database.query<{ outcome: string }>('select distinct outcome from operation_steps');
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
    await database.query('update operations set not_before = null');
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
      await database.query('update operations set fence = fence + 1');
      return { answers: true, reason: '' };
    };
    expect(await go()).toBe('fenced');
    const { rows } = await database.query<{ fence: number; state: string }>('select fence, state from operations');
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

describe('a cancel', () => {
  test('takes away all that was made, frees the room and the name', async () => {
    const { go, world, objects, ports, command } = await makeOperation();
    ports.http.loginPageAnswers = async () => ({ answers: false, reason: 'status 502' });
    expect(await go()).toBe('waiting');
    expect(objects.size).toBe(6);
    expect(await command('cancel')).toBe('done');
    expect(await go()).toBe('cancelled');
    expect(objects.size).toBe(0);
    expect(world.database).toBe('absent');
    expect(world.secret).toBeUndefined();
    expect(await instance()).toMatchObject({
      status: 'terminated',
      host: null,
      desired_state: 'terminated',
      db_server_id: null,
    });
    expect((await database.query('select instance_count from db_servers')).rows).toEqual([{ instance_count: 0 }]);
    expect(await statusesTold()).toEqual(['creating starting', 'starting terminated']);
    expect(await command('cancel')).toBe('ignored');
    expect(await command('retry')).toBe('ignored');
  });

  test('before anything began undoes nothing and does not start the instance first', async () => {
    const { go, world, command } = await makeOperation();
    expect(await command('cancel')).toBe('done');
    expect(await go()).toBe('cancelled');
    expect(world.did).toEqual([]);
    expect(await statusesTold()).toEqual(['creating terminated']);
    expect(await instance()).toMatchObject({ host: null });
  });

  test('of a failed one is carried out, and an undo that fails stays until it is done', async () => {
    const { go, world, ports, command } = await makeOperation();
    world.warm = 0;
    await go();
    world.jobs.set(world.started[0]?.name ?? '', { state: 'failed', reason: 'exit code 1' });
    expect(await go()).toBe('failed');
    expect(await command('cancel')).toBe('done');
    const { remove } = ports.databases;
    ports.databases.remove = async () => {
      throw new Failure('conflict', 'Somebody is connected.');
    };
    expect(await go()).toBe('waiting');
    expect(world.secret).toBeDefined();
    expect(await instance()).toMatchObject({ status: 'error', db_server_id: 'one' });
    ports.databases.remove = remove;
    expect(await go()).toBe('cancelled');
    expect(world.secret).toBeUndefined();
    expect(await statusesTold()).toEqual(['creating starting', 'starting error', 'error terminated']);
  });

  test('that comes while a step fails for good is carried out all the same', async () => {
    const { go, ports, command } = await makeOperation();
    ports.databases.personalise = async () => {
      expect(await command('cancel')).toBe('done');
      throw new Failure('foreign-object', 'Not ours.');
    };
    expect(await go()).toBe('failed');
    // its own turn comes next: nobody needs to find it
    expect((await told()).map(({ type }) => type)).toContain('operation.advance');
    expect(await go()).toBe('cancelled');
    expect(await instance()).toMatchObject({ status: 'terminated' });
  });
});

test('an instance that somebody has worked in is not undone', async () => {
  const { go, world, ports, command } = await makeOperation();
  ports.http.loginPageAnswers = async () => ({ answers: false, reason: 'status 502' });
  await go();
  world.wasUsed = true;
  expect(await command('cancel')).toBe('done');
  expect(await go()).toBe('failed');
  expect(world.database).toBe('initialised');
  expect(world.secret).toBeDefined();
  const { rows } = await database.query('select state, error_code, cancel_requested from operations');
  expect(rows).toEqual([{ state: 'failed', error_code: 'not-allowed', cancel_requested: false }]);
  // a retry finishes it
  ports.http.loginPageAnswers = async () => ({ answers: true, reason: '' });
  expect(await command('retry')).toBe('done');
  expect(await go()).toBe('succeeded');
});

describe('a command', () => {
  test('delivered again is a duplicate, and with other data a lie', async () => {
    const { command } = await makeOperation();
    expect(await command('cancel', { id: 'c-1' })).toBe('done');
    expect(await command('cancel', { id: 'c-1' })).toBe('duplicate');
    await expect(command('retry', { id: 'c-1' })).rejects.toMatchObject({ code: 'reused-event-id' });
  });

  test('for another instance or kind than the operation’s does nothing', async () => {
    const { command } = await makeOperation();
    expect(await command('cancel', { instanceId: 'bbbbbbbbbbbb' })).toBe('unknown');
    expect(await command('cancel', { kind: 'suspend' })).toBe('unknown');
    const { rows } = await database.query('select cancel_requested from operations');
    expect(rows).toEqual([{ cancel_requested: false }]);
  });

  test('that means nothing is noted as ignored', async () => {
    const { command, operationId } = await makeOperation();
    expect(await command('retry')).toBe('ignored');
    expect(await audited(operationId)).toEqual(['provision.retry.ignored']);
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
  await database.query(`update instances set status = 'running'`);
  const operation = { id: operationId, fence: 0 } as Parameters<typeof work.load>[0];
  const context = { operation, instance: { id: instanceId, status: 'running' } };
  await beginProvision(database, context as Parameters<typeof beginProvision>[1], eventSource);
  expect(await told()).toEqual([]);
});
