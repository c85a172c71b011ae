import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { instanceIdPattern } from '#shared/domain/instance/names.ts';
import { bareType, type World } from './world.ts';

/** Events of one kind on their way through the Broker to one subscriber. */
export type ClusterArm = {
  /** The Knative Service. */
  service: string;
  /** Sends that many events, at most `inFlight` at a time, and returns when each began and was done, in milliseconds. */
  run(count: number, options: { inFlight: number }): Promise<Way[]>;
};

export type Way = { beganMs: number; doneMs: number };

const limitMs = 120_000;

/** A subscriber that only answers: an event is done when it has come. */
export function bareArm(world: World): ClusterArm {
  return {
    service: 'bare',
    async run(count, { inFlight }) {
      const ids = Array.from({ length: count }, () => randomUUID());
      const began = await sendAll(ids, inFlight, (id) => world.post({ id, type: bareType, data: {} }));
      return await untilAllDone(began, async () => {
        const { text } = await world.ask('bare', '/received');
        return new Map(Object.entries(JSON.parse(text) as Record<string, number>));
      });
    },
  };
}

/**
 * Requests to suspend instances that nobody knows: the whole transaction of an accepted request (inbox, locks, audit, outbox),
 * and a refusal as its end. An event is done when the Broker has taken the event that tells of it, which is the last thing
 * before the function's answer; the database has the machine's clock.
 */
export function requestArm(world: World): ClusterArm {
  const { records } = world.fleet;
  const type = 'dev.odoofleet.instance.suspend.requested';
  return {
    service: 'suspend',
    async run(count, { inFlight }) {
      const ids = Array.from({ length: count }, unknownInstance);
      const data = (instance: string) => ({ instance, cause: 'billing' });
      const began = await sendAll(ids, inFlight, (id) => world.post({ id: randomUUID(), type, data: data(id) }));
      return await untilAllDone(began, async () => {
        const { rows } = await records.query<{ id: string; at: Date; micros: number }>(
          `select data ->> 'instance' as id, published_at as at, extract(microseconds from published_at)::integer as micros
           from outbox where type = 'dev.odoofleet.instance.suspend.failed' and published_at is not null
             and data ->> 'instance' = any($1)`,
          [ids],
        );
        return new Map(rows.map(({ id, at, micros }) => [id, at.getTime() + (micros % 1_000) / 1_000]));
      });
    },
  };
}

function unknownInstance(): string {
  const id = Array.from(randomBytes(12), (byte) => 'abcdefghijklmnopqrstuvwxyz234567'.charAt(byte & 31)).join('');
  if (!instanceIdPattern.test(id)) throw new Error(`${id} is no id of an instance`);
  return id;
}

async function sendAll(
  ids: readonly string[],
  inFlight: number,
  send: (id: string) => Promise<number>,
): Promise<Map<string, number>> {
  const began = new Map<string, number>();
  const rest = [...ids];
  const worker = async () => {
    for (let id = rest.shift(); id !== undefined; id = rest.shift()) began.set(id, await send(id));
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return began;
}

async function untilAllDone(
  began: ReadonlyMap<string, number>,
  find: () => Promise<ReadonlyMap<string, number>>,
): Promise<Way[]> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const done = await find();
    const ways = [...began].flatMap(([id, beganMs]) => {
      const doneMs = done.get(id);
      return doneMs === undefined ? [] : [{ beganMs, doneMs }];
    });
    if (ways.length === began.size) return ways;
    const missing = began.size - ways.length;
    if (performance.now() > deadline) throw new Error(`${missing} of ${began.size} events did not arrive.`);
    await pause(20);
  }
}
