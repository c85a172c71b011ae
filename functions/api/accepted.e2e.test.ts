import { beforeAll, expect, test } from 'vitest';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { runningInstance } from '#shared/testing/life.ts';
import { type Answer, keyFor, type StartedApi, startApi } from './started-api.fixture.ts';

/** How many accepted requests are lost sight of by a kill; `ACCEPTED_REQUESTS=1000` for a long run. */
const wanted = Number(process.env['ACCEPTED_REQUESTS'] ?? '100');
const instancesAtOnce = 10;

const fleet = fleetOfThisFile({ waitsForWarm: true, durable: true, functionSettings: { LEASE_MS: '5000' } });

let key: string;
const instances: string[] = [];

beforeAll(async () => {
  key = await keyFor(fleet(), 'admin');
  for (let number = 0; number < instancesAtOnce; number += 1) {
    instances.push(await runningInstance(fleet(), `kept-${number}`));
  }
});

type Promised = { id: string };

/**
 * Asks something of all instances at once, and kills the process in the moment in which the nth answer is there. Gives what
 * was promised until then: the answers of the others may have been on their way, or their requests still at work.
 */
async function promisedBeforeKill(api: StartedApi, word: string, nth: number): Promise<Promised[]> {
  const promised: Promised[] = [];
  let isKilled = false;
  const take = ({ status, body }: Answer) => {
    // on a busy machine: it promises nothing
    if (status === 503) return;
    if (status !== 202) throw new Error(`${status}: ${JSON.stringify(body)}`);
    promised.push(body);
    if (promised.length < nth || isKilled) return;
    isKilled = true;
    api.kill();
  };
  // those that the kill has cut off promised nothing
  const cutOff = (error: unknown) => {
    if (!isKilled) throw error;
  };
  const asks = instances.map((id) => api.ask('POST', `/v1/instances/${id}/${word}`).then(take).catch(cutOff));
  await Promise.all(asks);
  if (!isKilled) api.kill();
  await api.ended;
  return promised;
}

/** Those of these operations that are not in the records. */
async function missing(promised: readonly Promised[]): Promise<string[]> {
  const ids = promised.map(({ id }) => id);
  const rows = await fleet().rows<{ id: string }>('select id from operations where id = any($1::uuid[])', [ids]);
  const there = new Set(rows.map(({ id }) => id));
  return ids.filter((id) => !there.has(id));
}

test(
  'what was answered with 202 is done, though the process is killed right after the answer, again and again',
  async () => {
    const all = new Map<string, Promised>();
    let answers = 0;
    let next = startApi(fleet(), { key });
    for (let round = 0; answers < wanted; round += 1) {
      const api = await next;
      // starts while this one is at work
      next = startApi(fleet(), { key });
      const promised = await promisedBeforeKill(api, round % 2 === 0 ? 'stop' : 'start', 1 + (round % instancesAtOnce));
      expect(await missing(promised)).toEqual([]);
      answers += promised.length;
      for (const one of promised) all.set(one.id, one);
    }
    await (await next).stop();
    const ids = [...all.keys()];
    const unfinished = `select id, kind, state from operations where id = any($1::uuid[])
      and state not in ('succeeded', 'cancelled')`;
    await until('every operation to be done', async () => (await fleet().rows(unfinished, [ids])).length === 0, {
      timeoutMs: 120_000,
    }).catch(async (cause: unknown) => {
      throw new Error(JSON.stringify(await fleet().rows(unfinished, [ids])), { cause });
    });
    // only what a later request has overtaken was not carried out
    const dropped = await fleet().rows(
      `select id from operations where id = any($1::uuid[]) and state = 'cancelled' and overtaken_by is null`,
      [ids],
    );
    expect(dropped).toEqual([]);
    const audited = await fleet().rows<{ count: number }>(
      `select count(distinct operation_id) from audit where operation_id = any($1::uuid[]) and action like '%.requested'`,
      [ids],
    );
    expect(audited).toEqual([{ count: ids.length }]);
    expect(answers).toBeGreaterThanOrEqual(wanted);
  },
  300_000 + wanted * 3_000,
);
