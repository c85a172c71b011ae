import { createHash, randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventByType } from '#events/catalogue.ts';
import { checkData } from '#events/check.ts';
import type { InferData } from '#events/envelope.ts';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import type { TypedEvent } from '#shared/adapters/eventing/parse.ts';
import type { Database } from '#shared/adapters/postgres/database.ts';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { provisionHandler } from './handler.ts';
import { provisionDefinition } from './operation.ts';

type Request = InferData<typeof provisionRequested>;
type RequestEvent = TypedEvent<typeof provisionRequested>;

const platform = platformOfThisFile();
let database: Database;
beforeAll(async () => {
  database = platform();
  await insertCatalogue(database);
});
beforeEach(async () => {
  advanced.length = 0;
  await database.query('truncate operations, operation_steps, inbox, outbox, instances, suspensions cascade');
  await database.query(`delete from customers where id <> 'c-1'`);
  await database.query('update customers set quota = 1000');
});

const advanced: string[] = [];
let flushed = 0;

/** The function's handler on the real records; carrying operations out is not what is tested here. */
function accept(event: RequestEvent): Promise<string> {
  const nothing = async () => {};
  const handler = provisionHandler({
    platform: { database, flush: async () => void (flushed += 1) },
    work: {
      // the ports are not touched
      definition: provisionDefinition({} as Parameters<typeof provisionDefinition>[0]),
      load: () => Promise.reject(new Error('nothing is carried out')),
      takeOver: nothing,
      succeed: async () => 'succeeded',
      fail: nothing,
      cancel: nothing,
      objectToCancel: async () => undefined,
    },
    operations: { command: async () => 'done', goOn: async (id) => (advanced.push(id), 'waiting') },
    defaults: { imageId: 'odoo-19', clusterId: 'default', language: 'en_US', eventSource: 'urn:odoo-fleet' },
  });
  return handler(event, { customerId: null });
}

function request(data: Partial<Request> = {}, envelope: { id?: string; source?: string } = {}): RequestEvent {
  const full: Request = {
    customer: 'c-1',
    name: 'acme',
    plan: 'small',
    owner: { email: 'owner@acme.example' },
    ...data,
  };
  return {
    specversion: '1.0',
    id: envelope.id ?? randomUUID(),
    source: envelope.source ?? 'urn:user-service',
    type: provisionRequested.type,
    subject: undefined,
    time: undefined,
    extensions: {},
    data: full,
    dataHash: createHash('sha256').update(JSON.stringify(full)).digest(),
  } as unknown as RequestEvent;
}

const count = async (table: string) =>
  (await database.query<{ count: number }>(`select count(*)::integer as count from ${table}`)).rows[0]?.count;
const audited = async (instanceId: string) =>
  (
    await database.query<{ action: string }>('select action from audit where instance_id = $1 order by sequence', [
      instanceId,
    ])
  ).rows.map(({ action }) => action);
async function outbox(): Promise<{ type: string; data: Record<string, unknown> }[]> {
  const { rows } = await database.query<{ type: string; data: Record<string, unknown> }>(
    'select type, data from outbox order by sequence',
  );
  for (const { type, data } of rows) {
    const definition = eventByType(type);
    expect(definition && checkData(definition, data)).toMatchObject({ accepted: true });
  }
  return rows;
}

describe('a request', () => {
  test('becomes an instance, an operation, an audit entry and an announcement, and is then carried out', async () => {
    const event = request({ settings: { transient_age_limit: 2 }, modules: ['sale', 'base', 'crm'] });
    expect(await accept(event)).toBe('waiting');
    const instanceId = deriveInstanceId(event.source, event.id);
    const operations = await database.query<Record<string, unknown>>('select * from operations');
    expect(operations.rows).toMatchObject([
      {
        id: advanced[0],
        instance_id: instanceId,
        kind: 'provision',
        state: 'queued',
        idempotency_key: `${event.source}\n${event.id}`,
        requested_by: 'urn:user-service',
        cause: event.id,
        request: event.data,
      },
    ]);
    const instances = await database.query<Record<string, unknown>>('select * from instances');
    expect(instances.rows).toMatchObject([
      {
        id: instanceId,
        host: 'acme.odoo.example',
        status: 'creating',
        modules: ['crm', 'sale'],
        settings: { transient_age_limit: 2 },
        image_id: 'odoo-19',
        language: 'en_US',
        db_server_id: null,
      },
    ]);
    expect(await audited(instanceId)).toEqual(['provision.requested']);
    expect(await outbox()).toMatchObject([
      {
        type: 'dev.odoofleet.instance.provision.accepted',
        data: { instance: instanceId, operation: advanced[0], host: 'acme.odoo.example' },
      },
    ]);
  });

  test('delivered twenty times at once is one operation, one audit entry, one announcement', async () => {
    const event = request();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => accept(event)));
    expect(outcomes.filter((outcome) => outcome === 'waiting')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(19);
    expect(new Set(advanced).size).toBe(1);
    const instanceId = deriveInstanceId(event.source, event.id);
    expect(await audited(instanceId)).toEqual(['provision.requested']);
    for (const table of ['operations', 'instances', 'inbox', 'outbox']) expect(await count(table)).toBe(1);
  });

  test('said again under another event id is the same operation', async () => {
    await accept(request({ idempotencykey: 'order-1' }));
    expect(await accept(request({ idempotencykey: 'order-1' }))).toBe('repeated');
    expect(new Set(advanced).size).toBe(1);
    expect(await count('operations')).toBe(1);
    const { rows } = await database.query<{ outcome: string; operation_id: string }>(
      'select outcome, operation_id from inbox order by outcome',
    );
    expect(rows.map(({ outcome }) => outcome)).toEqual(['accepted', 'repeated']);
    expect(new Set(rows.map(({ operation_id: id }) => id))).toEqual(new Set(advanced));
  });

  test('said again under many event ids at once is one operation', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () => accept(request({ idempotencykey: 'order-1' }))),
    );
    expect(outcomes.filter((outcome) => outcome === 'repeated')).toHaveLength(9);
    expect(await count('operations')).toBe(1);
    expect(await count('inbox')).toBe(10);
  });

  test('with a key that stands for another request is not recorded', async () => {
    await accept(request({ idempotencykey: 'order-1' }));
    const other = accept(request({ idempotencykey: 'order-1', plan: 'large' }));
    await expect(other).rejects.toMatchObject({
      code: 'reused-event-id',
      message: expect.stringMatching(/^Idempotency key order-1/),
    });
    expect(await count('inbox')).toBe(1);
    expect(await count('operations')).toBe(1);
  });

  test('whose id came before with other data is not recorded', async () => {
    const id = randomUUID();
    await accept(request({}, { id }));
    const other = accept(request({ name: 'other' }, { id }));
    await expect(other).rejects.toMatchObject({ code: 'reused-event-id', message: expect.stringMatching(/^Event id/) });
    expect(await count('instances')).toBe(1);
  });

  test('of another source with the same key or id is another request', async () => {
    const id = randomUUID();
    await accept(request({ name: 'one', idempotencykey: 'k' }, { id, source: 'urn:a' }));
    await accept(request({ name: 'two', idempotencykey: 'k' }, { id, source: 'urn:b' }));
    expect(await count('operations')).toBe(2);
  });
});

describe('a refusal', () => {
  test.each<[string, Partial<Request>, string]>([
    ['a reserved name', { name: 'www' }, 'name-reserved'],
    ['an unknown plan', { plan: 'huge' }, 'unknown-plan'],
    ['an unknown image', { image: 'odoo-7' }, 'unknown-image'],
    ['a reserved setting', { settings: { admin_passwd: 'x' } }, 'invalid-request'],
  ])('for %s leaves no instance, and is told, noted and audited', async (_name, data, code) => {
    const event = request(data);
    const flushedBefore = flushed;
    expect(await accept(event)).toBe('refused');
    expect(flushed).toBe(flushedBefore + 1);
    expect(advanced).toEqual([]);
    expect(await count('instances')).toBe(0);
    expect(await count('operations')).toBe(0);
    expect((await database.query('select outcome, operation_id from inbox')).rows).toEqual([
      { outcome: `refused: ${code}`, operation_id: null },
    ]);
    expect(await audited(deriveInstanceId(event.source, event.id))).toEqual(['provision.refused']);
    expect(await outbox()).toMatchObject([
      { type: 'dev.odoofleet.instance.provision.failed', data: { instance: null, operation: null, code } },
    ]);
    // delivered again it is refused again, and told once
    expect(await accept(event)).toBe('refused');
    expect(await outbox()).toHaveLength(1);
    expect(await audited(deriveInstanceId(event.source, event.id))).toHaveLength(1);
  });

  test('with a reason longer than an event carries is told all the same', async () => {
    const settings = Object.fromEntries(
      Array.from({ length: 30 }, (_, at) => [`no_such_setting_${'x'.repeat(40)}${at}`, 1]),
    );
    expect(await accept(request({ settings }))).toBe('refused');
    const [told] = await outbox();
    expect(told?.data['text']).toHaveLength(1_000);
  });

  test('for a host that is taken, also when two ask at once', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 5 }, (_, at) => accept(request({ customer: `c-other-${at}`, name: 'acme' }))),
    );
    expect(outcomes.filter((outcome) => outcome === 'waiting')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'refused')).toHaveLength(4);
    expect(await count('instances')).toBe(1);
    const codes = (await outbox()).map(({ data }) => data['code']).filter((code) => code !== undefined);
    expect(new Set(codes)).toEqual(new Set(['host-taken']));
  });

  test('for an instance id that is in use', async () => {
    await accept(request({ instance: 'abcdefgh2345' }));
    expect(await accept(request({ instance: 'abcdefgh2345', name: 'other' }))).toBe('refused');
    expect((await outbox()).at(-1)?.data).toMatchObject({
      code: 'invalid-request',
      text: expect.stringMatching(/exists already/),
    });
    expect(await count('instances')).toBe(1);
  });

  test('for a full quota, however many ask at once', async () => {
    await database.query(`insert into customers (id, quota) values ('c-2', 3)`);
    const events = Array.from({ length: 12 }, (_, at) => request({ customer: 'c-2', name: `n-${at}` }));
    const outcomes = await Promise.all(events.map(accept));
    expect(outcomes.filter((outcome) => outcome === 'waiting')).toHaveLength(3);
    expect(outcomes.filter((outcome) => outcome === 'refused')).toHaveLength(9);
    expect(await count('instances')).toBe(3);
    // one that is over makes room
    await database.query(`update instances set status = 'terminated', desired_state = 'terminated', host = null where name =
      (select name from instances limit 1)`);
    expect(await accept(request({ customer: 'c-2', name: 'next' }))).toBe('waiting');
    expect(await accept(request({ customer: 'c-2', name: 'more' }))).toBe('refused');
  });

  test('of a new customer at the default quota of five', async () => {
    const events = Array.from({ length: 7 }, (_, at) => request({ customer: 'c-new', name: `n-${at}` }));
    const outcomes = await Promise.all(events.map(accept));
    expect(outcomes.filter((outcome) => outcome === 'waiting')).toHaveLength(5);
  });
});

test('a setting of ours that is wrong is no refusal: the event comes again', async () => {
  await database.query(`update clusters set id = 'elsewhere'`);
  try {
    await expect(accept(request())).rejects.toMatchObject({ code: 'misconfigured' });
    expect(await count('inbox')).toBe(0);
  } finally {
    await database.query(`update clusters set id = 'default'`);
  }
});
