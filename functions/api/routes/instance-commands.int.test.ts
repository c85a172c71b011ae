import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';

let flushes = 0;
const api = apiOfThisFile({
  ports: () => ({
    async flush() {
      flushes += 1;
    },
  }),
});

beforeAll(() => insertCatalogue(api().database));
beforeEach(async () => {
  flushes = 0;
  await api().database.query(
    'truncate operations, operation_steps, outbox, instances, suspensions, idempotency_keys cascade',
  );
});

async function rows<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await api().database.query<Row>(text, values)).rows;
}

/** A running instance of c-1. */
async function running(number: number): Promise<string> {
  const id = testInstanceId(number);
  await insertTestInstance(api().database, id);
  await rows(`update instances set status = 'running', observed_generation = generation where id = $1`, [id]);
  return id;
}

describe('a command', () => {
  test.each(['start', 'stop', 'restart', 'terminate', 'backup'])('%s is an operation of that kind', async (kind) => {
    const id = await running(1);
    const answer = await api().ask('customer', 'POST', `/v1/instances/${id}/${kind}`);
    expect(answer).toMatchObject({ status: 202, body: { kind, instanceId: id, state: 'queued', outcome: 'accepted' } });
    expect(answer.headers.get('location')).toBe(`/v1/operations/${answer.body.id}`);
    expect(await rows('select kind, state, requested_by from operations')).toEqual([
      { kind, state: 'queued', requested_by: 'user:test-customer' },
    ]);
  });

  test('that is under way already is answered with what does it', async () => {
    const id = await running(1);
    const first = await api().ask('customer', 'POST', `/v1/instances/${id}/stop`);
    const second = await api().ask('customer', 'POST', `/v1/instances/${id}/stop`, { body: { reason: 'again' } });
    expect(second).toMatchObject({ status: 202, body: { id: first.body.id, outcome: 'coalesced' } });
  });

  test('that is not possible as things are is refused, and the record says who asked', async () => {
    const id = await running(1);
    const answer = await api().ask('customer', 'POST', `/v1/instances/${id}/undo`);
    expect(answer).toMatchObject({ status: 409, body: { code: 'not-allowed' } });
    expect(await rows('select actor, action from audit where instance_id = $1 order by sequence', [id])).toContainEqual(
      {
        actor: 'user:test-customer',
        action: 'undo.refused',
      },
    );
    expect(await rows('select id from operations')).toEqual([]);
  });

  test.each([
    ['support', 'terminate', 403],
    ['support', 'restore', 403],
    ['support', 'stop', 202],
    ['customer', 'suspend', 403],
    ['customer', 'resume', 403],
    ['admin', 'suspend', 202],
    ['customer', 'purge', 403],
    ['support', 'purge', 403],
    ['customer', 'repair', 403],
    ['admin', 'repair', 202],
    ['nobody', 'stop', 401],
  ] as const)('of %s to %s is answered with %i', async (caller, kind, status) => {
    const id = await running(1);
    const cause = kind === 'suspend' || kind === 'resume' ? { cause: 'abuse' } : {};
    const backup = kind === 'restore' ? { backup: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f' } : {};
    const body = { ...cause, ...backup };
    expect((await api().ask(caller, 'POST', `/v1/instances/${id}/${kind}`, { body })).status).toBe(status);
  });

  test.each([
    ['suspend', {}, 'body.cause'],
    ['restore', {}, 'body.backup'],
    ['backup', { kind: 'scheduled' }, 'body.kind'],
    ['stop', { speed: 'fast' }, 'body.speed'],
    ['stop', { reason: 'two\nlines' }, 'body.reason'],
    ['clone', {}, 'body.name'],
  ])('to %s with %j names what is wrong', async (kind, body, field) => {
    const id = await running(1);
    const answer = await api().ask('admin', 'POST', `/v1/instances/${id}/${kind}`, { body });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ field }] } });
  });

  test('to an id that is none names it', async () => {
    const answer = await api().ask('admin', 'POST', '/v1/instances/nope/stop');
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ field: 'path.id' }] } });
  });

  test('to verify a backup that is not there, or another customer’s, finds none', async () => {
    const path = '/v1/backups/01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f/verify';
    expect((await api().ask('customer', 'POST', path)).status).toBe(404);
  });
});

describe('a batch', () => {
  const ask = (
    instances: readonly string[],
    more: object = {},
    caller: 'admin' | 'customer:c-2' | 'support' = 'admin',
  ) => api().ask(caller, 'POST', '/v1/instances/batch', { body: { command: 'stop', instances, ...more } });

  test('of a hundred is one answer with a result for each, in the order given', async () => {
    const ids = await Promise.all(Array.from({ length: 99 }, (_, index) => running(index + 1)));
    const asked = [...ids.toReversed(), testInstanceId(5_000)];
    const { status, body } = await ask(asked);
    expect([status, body.accepted, body.refused]).toEqual([200, 99, 1]);
    expect(body.items.map(({ instanceId }: { instanceId: string }) => instanceId)).toEqual(asked);
    expect(body.items.at(-1)).toMatchObject({ status: 404, operation: null, code: 'not-found' });
    expect(await rows(`select count(*) from operations where kind = 'stop'`)).toEqual([{ count: 99 }]);
  });

  test('publishes all that it wrote by one flush', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, (_, index) => running(index + 1)));
    expect((await ask(ids)).status).toBe(200);
    expect(flushes).toBe(1);
  });

  test('of another customer’s instances finds none of them', async () => {
    const id = await running(1);
    const { body } = await ask([id], {}, 'customer:c-2');
    expect(body).toMatchObject({ accepted: 0, refused: 1, items: [{ status: 404 }] });
    expect(await rows('select id from operations')).toEqual([]);
  });

  test('that is repeated under its key does nothing twice', async () => {
    const ids = [await running(1), await running(2)];
    const asked = { body: { command: 'restart', instances: ids }, headers: { 'idempotency-key': 'k' } };
    const first = await api().ask('admin', 'POST', '/v1/instances/batch', asked);
    const second = await api().ask('admin', 'POST', '/v1/instances/batch', asked);
    expect(second.body).toEqual(first.body);
    expect(await rows('select id from operations')).toHaveLength(2);
  });

  test.each([
    ['too many', Array.from({ length: 101 }, (_, index) => testInstanceId(index)), {}, 'body.instances'],
    ['none', [], {}, 'body.instances'],
    ['one twice', ['aaaaaaaaaaaa', 'aaaaaaaaaaaa'], {}, 'body.instances'],
    ['no cause', ['aaaaaaaaaaaa'], { command: 'suspend' }, 'body.cause'],
    ['an unknown command', ['aaaaaaaaaaaa'], { command: 'explode' }, 'body.command'],
  ])('of %s names what is wrong', async (_what, instances, more, field) => {
    expect(await ask(instances, more)).toMatchObject({ status: 400, body: { errors: [{ field }] } });
  });

  test('of terminations is nothing for support', async () => {
    expect((await ask([await running(1)], { command: 'terminate' }, 'support')).status).toBe(403);
  });
});

describe('a word about an operation', () => {
  async function backup(state: string): Promise<string> {
    const id = await running(1);
    const { body } = await api().ask('customer', 'POST', `/v1/instances/${id}/backup`);
    await rows(
      `update operations set state = $1, error_code = 'job-failed', error_text = 'It ended.', finished_at = now()`,
      [state],
    );
    return body.id as string;
  }

  test('to retry a failed one puts it back in the queue, and its function is told', async () => {
    const id = await backup('failed');
    const path = `/v1/operations/${id}/retry`;
    const told = (await rows('select id from outbox')).length;
    expect((await api().ask('customer', 'POST', path, { body: { reason: 'now' } })).status).toBe(202);
    expect(await rows('select state, round from operations')).toEqual([{ state: 'queued', round: 2 }]);
    expect(await rows('select id from outbox')).toHaveLength(told + 1);
    expect(await api().ask('customer', 'POST', path)).toMatchObject({ status: 409, body: { code: 'not-allowed' } });
  });

  test('to cancel one is written into its row; of a kind that is not undone it is refused', async () => {
    const id = await backup('running');
    expect((await api().ask('customer', 'POST', `/v1/operations/${id}/cancel`)).status).toBe(202);
    expect(await rows('select cancel_requested from operations')).toEqual([{ cancel_requested: true }]);
    const stop = await api().ask('customer', 'POST', `/v1/instances/${await running(2)}/stop`);
    expect((await api().ask('customer', 'POST', `/v1/operations/${stop.body.id}/cancel`)).status).toBe(409);
  });

  test.each([
    ['support', 'purge', 403],
    ['support', 'terminate', 403],
    ['support', 'restore', 403],
    ['support', 'stop', 202],
    ['customer', 'purge', 403],
    ['customer', 'repair', 403],
    ['customer', 'suspend', 403],
    ['customer', 'resume', 403],
    ['customer:c-2', 'purge', 404],
    ['customer', 'terminate', 202],
    ['admin', 'purge', 202],
  ] as const)(
    'of %s, to retry a failed %s, is answered with %i, as asking for one would be',
    async (caller, kind, status) => {
      const id = await backup('failed');
      await rows('update operations set kind = $1', [kind]);
      expect((await api().ask(caller, 'POST', `/v1/operations/${id}/retry`)).status).toBe(status);
      expect(await rows('select state from operations')).toEqual([{ state: status === 202 ? 'queued' : 'failed' }]);
    },
  );

  test('to cancel what somebody may not ask for is refused', async () => {
    const id = await backup('running');
    await rows(`update operations set kind = 'restore'`);
    expect((await api().ask('support', 'POST', `/v1/operations/${id}/cancel`)).status).toBe(403);
    expect(await rows('select cancel_requested from operations')).toEqual([{ cancel_requested: false }]);
  });

  test('of another customer’s is refused as if there were none', async () => {
    const id = await backup('failed');
    expect((await api().ask('customer:c-2', 'POST', `/v1/operations/${id}/retry`)).status).toBe(404);
    expect(await rows('select state from operations')).toEqual([{ state: 'failed' }]);
  });
});
