import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { insertCatalogue, insertTestInstance, testInstanceId } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';

const api = apiOfThisFile();
const instance = testInstanceId(1);

beforeAll(() => insertCatalogue(api().database));
beforeEach(async () => {
  await api().database.query('truncate operations, operation_steps, outbox, instances cascade');
  await insertTestInstance(api().database, instance);
  await api().database.query(`update instances set status = 'running', observed_generation = generation`);
});

async function operation(): Promise<string> {
  return (await api().ask('customer', 'POST', `/v1/instances/${instance}/stop`)).body.id;
}

type Event = { event: string; id: string; data: { state: string; step: string | null } };

/** Reads a stream event by event; undefined at its end. */
async function follow(id: string, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const response = await fetch(`${api().url}/v1/operations/${id}/events`, {
    headers: { authorization: 'Bearer customer', ...headers },
    signal: abort.signal,
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  async function next(): Promise<Event | undefined> {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const lines = Object.fromEntries(
          text
            .slice(0, end)
            .split('\n')
            .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        );
        text = text.slice(end + 2);
        if (lines['event'] !== undefined)
          return { ...lines, data: JSON.parse(lines['data'] ?? '') } as unknown as Event;
        continue;
      }
      const piece = await reader?.read();
      if (piece === undefined || piece.done) return undefined;
      text += piece.value;
    }
  }
  return { response, next, abort: () => abort.abort() };
}

const write = (id: string, change: string) =>
  api().database.query(`update operations set ${change} where id = $1`, [id]);

describe('the events of an operation', () => {
  test('tell how far it is after every change, and end with it', async () => {
    const id = await operation();
    const { response, next } = await follow(id);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    expect(response.headers.get('content-encoding')).toBeNull();
    expect(await next()).toMatchObject({
      event: 'progress',
      data: { id, instanceId: instance, kind: 'stop', state: 'queued' },
    });
    await write(id, `state = 'waiting', step = 'drain'`);
    expect(await next()).toMatchObject({ event: 'progress', data: { state: 'waiting', step: 'drain' } });
    await write(id, `state = 'succeeded', finished_at = now()`);
    expect(await next()).toMatchObject({ event: 'end', data: { state: 'succeeded' } });
    expect(await next()).toBeUndefined();
  });

  test('begin with what has changed since the last one somebody has', async () => {
    const id = await operation();
    const first = await follow(id);
    const seen = await first.next();
    first.abort();
    const second = await follow(id, { 'last-event-id': seen?.id ?? '' });
    await write(id, `state = 'failed', error_code = 'timeout', error_text = 'Too slow.', finished_at = now()`);
    const last = await second.next();
    // why is the platform's affair: the text may name its servers
    expect(last).toMatchObject({ event: 'end', data: { state: 'failed', error: { code: 'failed' } } });
    expect(JSON.stringify(last)).not.toContain('Too slow');
    const third = await follow(id, { 'last-event-id': last?.id ?? '' });
    expect(third.response.status).toBe(204);
  });

  test('are kept for nobody who asks for their headers only', async () => {
    const id = await operation();
    const path = `/v1/operations/${id}/events`;
    // more than one owner may follow at a time
    for (let time = 0; time < 25; time += 1) expect((await api().ask('customer', 'HEAD', path)).status).toBe(200);
    const { response, abort } = await follow(id);
    expect(response.status).toBe(200);
    abort();
  });

  test('are for those who may see the operation', async () => {
    const id = await operation();
    expect((await api().ask('customer:c-2', 'GET', `/v1/operations/${id}/events`)).status).toBe(404);
    expect((await api().ask('nobody', 'GET', `/v1/operations/${id}/events`)).status).toBe(401);
  });
});
