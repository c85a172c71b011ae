import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { OperationKind } from '#shared/domain/operation/operation.ts';
import type { Fault } from '#shared/sandbox/kubernetes/server.ts';
import { onServer } from '#shared/testing/drift.ts';
import { fleetOfThisFile, until } from '#shared/testing/fleet.ts';
import { superuserOptions } from '#shared/testing/fleet-traces.ts';
import {
  instanceSeen,
  type LifeOperation,
  lifeRequest,
  operationsOf,
  outcomeOf,
  runningInstance,
} from '#shared/testing/life.ts';
import { startTcpProxy, type TcpProxy } from '#shared/testing/tcp-proxy.ts';
import { expectAsBefore, expectUntouched, worldOf } from '#shared/testing/world.ts';

// What the operations of an instance's life do when what they talk to is in trouble: each ends right, and once.

let proxy: TcpProxy | undefined;
let intercept: ((request: { method: string; path: string }) => Fault | undefined) | undefined;

const fleet = fleetOfThisFile({
  waitsForWarm: true,
  // servers crash here, and what was committed must be there afterwards
  durable: true,
  functionSettings: { LEASE_MS: '5000', RECONCILE_EVERY_MS: '3600000' },
  kubernetesIntercept: (request) => intercept?.(request),
  async functionBouncer(bouncer) {
    proxy = await startTcpProxy(bouncer);
    return proxy;
  },
});
afterAll(() => proxy?.close());
afterEach(() => {
  intercept = undefined;
});

let id: string;
beforeAll(async () => {
  [id] = await Promise.all([runningInstance(fleet(), 'troubled'), runningInstance(fleet(), 'bystander')]);
});

type LifeKind = Exclude<OperationKind, 'provision'>;

/** Each operation, with the status it ends in and what the host answers then. */
const life: readonly { kind: LifeKind; data?: Record<string, unknown>; status: string; answers: number }[] = [
  { kind: 'stop', status: 'stopped', answers: 503 },
  { kind: 'start', status: 'running', answers: 200 },
  { kind: 'suspend', data: { cause: 'billing' }, status: 'suspended', answers: 402 },
  { kind: 'resume', data: { cause: 'billing' }, status: 'running', answers: 200 },
  { kind: 'terminate', status: 'terminated', answers: 404 },
  { kind: 'undo', status: 'running', answers: 200 },
];

/** A test may have stopped what this asks. */
const unlessAway = async <T>(work: () => Promise<T>): Promise<T | undefined> => await work().catch(() => undefined);

/** Goes through the whole life with the mishap in each operation, and expects the instance of before. */
async function liveThrough(
  mishap: (kind: LifeKind) => Promise<void>,
  beforehand: (kind: LifeKind) => Promise<void> = async () => undefined,
): Promise<void> {
  const before = await worldAtRest();
  const known = (await operationsOf(fleet(), id)).length;
  for (const { kind, data, status, answers } of life) {
    const event = lifeRequest(kind, id, data);
    const count = (await operationsOf(fleet(), id)).length;
    await beforehand(kind);
    await fleet().publish(event);
    await mishap(kind);
    await until(`${kind} to end`, () => unlessAway(() => hasEnded(count)), { timeoutMs: 120_000 }).catch(tellState);
    const [operation, ...more] = (await operationsOf(fleet(), id)).slice(count);
    expect(more).toEqual([]);
    expect(operation).toMatchObject({ kind, state: 'succeeded', error_code: null });
    expect(await outcomeOf(fleet(), event)).toBe('accepted');
    const isThere = async () => (await instanceSeen(fleet(), id)).status === status;
    await until(`${kind}: status ${status}`, isThere).catch(tellState);
    await until(`${kind}: an answer of ${answers}`, async () => (await fleet().loginPage('troubled')) === answers);
  }
  expect((await operationsOf(fleet(), id)).length - known).toBe(life.length);
  await expectToldOnce();
  const after = await worldAtRest();
  expectUntouched(before, after, { but: [id] });
  const { object, configurationSecret } = namesOf(id);
  const remade = ['Deployment', 'Service', 'Ingress', 'NetworkPolicy'].map((kind) => `${kind}/${object}`);
  expectAsBefore(withoutGenerations(before), withoutGenerations(after), {
    instance: id,
    madeAnew: [...remade, `Secret/${configurationSecret}`],
  });
  const { generation, observed_generation } = await instanceSeen(fleet(), id);
  expect(observed_generation).toBe(generation);
}

/** Both instances run, and two looks see the same: what a mishap did to others ends later than the operation. */
async function worldAtRest(): Promise<Record<string, unknown>> {
  let last: Record<string, unknown> = {};
  const look = async () => {
    const before = last;
    last = await worldOf(fleet());
    const statuses = await fleet().rows<{ status: string }>('select status from instances');
    return statuses.every(({ status }) => status === 'running') && isDeepStrictEqual(before, last) && last;
  };
  // a pod that has failed often is started again only after minutes
  const options = { everyMs: 500, timeoutMs: 180_000 };
  return await until('both instances to run and nothing to change', look, options).catch(tellState);
}

async function tellState(error: Error): Promise<never> {
  const text = `select now() as now, i.name, i.status, i.status_reason, i.desired_state, o.kind, o.state, o.step, o.waiting_for, o.next_check_at,
      o.lease_holder, o.lease_until, o.error_code, o.error_text
    from instances i left join operations o on o.instance_id = i.id
      and o.state in ('queued', 'running', 'waiting')`;
  throw new Error(`${error.message}\n${JSON.stringify(await fleet().rows(text), null, 1)}`, { cause: error });
}

/** Every wish counts; that what is wanted is what is seen is looked at by itself. */
function withoutGenerations(world: Record<string, unknown>): Record<string, unknown> {
  const row = world[`row ${id}`] as object;
  return { ...world, [`row ${id}`]: { ...row, generation: 0, observed_generation: 0 } };
}

async function hasEnded(count: number): Promise<LifeOperation | undefined> {
  const operation = (await operationsOf(fleet(), id))[count];
  return operation !== undefined && ['succeeded', 'failed', 'cancelled'].includes(operation.state)
    ? operation
    : undefined;
}

/** Nobody is told twice of what an operation came to. */
async function expectToldOnce(): Promise<void> {
  const told = await fleet().rows<{ type: string; operation: string; count: number }>(
    `select type, data ->> 'operation' as operation, count(*)::integer as count from outbox
     where data ->> 'instance' = $1 and (type like '%.succeeded' or type like '%.failed' or type like '%.accepted')
       and data ->> 'operation' is not null
     group by 1, 2 having count(*) > 1`,
    [id],
  );
  expect(told).toEqual([]);
}

const timeout = 600_000;

describe('the API server', () => {
  it.each<[string, Fault, { once?: boolean }?]>([
    ['answers 409 to the first try of every write', { status: 409 }],
    ['answers 429 with Retry-After to the first try of every call', { status: 429, retryAfterSeconds: 1 }],
    ['answers 500 to the first try of every call', { status: 500 }],
    ['carries every write out and loses its first answer', { dropAnswer: true }],
    // A try is given up after 6 s: one per operation is enough.
    ['hangs at the first write', { delayMs: 20_000 }, { once: true }],
  ])('%s', { timeout }, async (_what, fault, { once = false } = {}) => {
    const seen = new Set<string>();
    let faults = 0;
    const isOnlyOfWrites = fault.status === 409 || fault.dropAnswer === true || once;
    intercept = ({ method, path }) => {
      // the node's own are left alone
      if (!path.includes(id) || path.includes('/pods') || path.includes('/status')) return undefined;
      if (isOnlyOfWrites && method === 'GET') return undefined;
      const key = `${method} ${path}`;
      if (seen.has(key) || (once && seen.size > 0)) return undefined;
      seen.add(key);
      faults += 1;
      return fault;
    };
    await liveThrough(async () => seen.clear());
    expect(faults).toBeGreaterThanOrEqual(life.length);
  });
});

describe('in the middle of every operation', () => {
  it('PgBouncer is restarted', { timeout }, async () => {
    await liveThrough(async (kind) => {
      await atWork();
      await fleet().servers.bouncer.restart({ signal: kind.length % 2 === 0 ? 'SIGTERM' : 'SIGKILL' });
    });
  });

  it('the platform’s PostgreSQL crashes', { timeout }, async () => {
    await liveThrough(async () => {
      await atWork();
      await fleet().servers.platform.restart({ signal: 'SIGQUIT' });
    });
  });

  it('the Odoo server is away for some seconds', { timeout }, async () => {
    await liveThrough(async () => {
      await fleet().servers.odoo.stop();
      // how long the fault lasts, not a wait for an effect
      await delay(3_000);
      await fleet().servers.odoo.restart();
    });
  });

  it.each(['after', 'while'] as const)('the answer to a COMMIT is lost (%s)', { timeout }, async (when) => {
    await liveThrough(async (kind) => {
      // of the function's first transaction: the acceptance, or the look for something due
      await fleet().functions.stop(kind);
      await proxy?.cutAt('commit', { when });
    });
  });

  it('the backend of the rename is terminated', { timeout }, async () => {
    let ended = 0;
    const holder = new Client(superuserOptions(fleet().servers.odoo));
    await holder.connect();
    const names = { terminate: `odoo_${id}`, undo: `tombstone_${id}` } as const;
    const nameOf = (kind: LifeKind) => (kind === 'terminate' || kind === 'undo' ? names[kind] : undefined);
    try {
      await liveThrough(
        async (kind) => {
          if (nameOf(kind) === undefined) return;
          ended += await until(`the rename of ${kind} to wait`, async () => (await terminateWaiting()) || undefined, {
            everyMs: 20,
          });
          await holder.query('rollback');
        },
        async (kind) => {
          const name = nameOf(kind);
          if (name === undefined) return;
          // whoever renames it has to wait for this row
          await holder.query('begin');
          await holder.query(`alter database ${name} connection limit -1`);
        },
      );
    } finally {
      await holder.end();
    }
    expect(ended).toBeGreaterThanOrEqual(2);
  });
});

async function terminateWaiting(): Promise<number> {
  const rows = await onServer<{ ended: boolean }>(
    fleet(),
    `select pg_terminate_backend(pid) as ended from pg_stat_activity
     where application_name like 'fleet:${id}:%' and wait_event_type = 'Lock' and query ilike '%alter database%'`,
  );
  return rows.length;
}

/** The request has been accepted, and the operation has not ended. */
async function atWork(): Promise<void> {
  await until('the operation', () => unlessAway(async () => (await unfinished()) > 0), {
    everyMs: 10,
    timeoutMs: 30_000,
  });
}

async function unfinished(): Promise<number> {
  const operations = await operationsOf(fleet(), id);
  return operations.filter(({ state }) => !['succeeded', 'failed', 'cancelled'].includes(state)).length;
}
