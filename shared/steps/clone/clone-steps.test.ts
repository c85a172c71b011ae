import { describe, expect, test } from 'vitest';
import type { WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import type { KeyWrapper } from '#shared/domain/backup/key-ring.ts';
import type { LoadDatabases, LoadRecords } from '#shared/domain/backup/load-ports.ts';
import type { NeutralizeOrder } from '#shared/domain/backup/order.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { JobState } from '#shared/domain/instance/ports.ts';
import { done, missing, type Step } from '#shared/domain/operation/step.ts';
import { exampleContext, exampleCredentials } from '#shared/testing/examples.ts';
import { fakeInstancePorts } from '#shared/testing/fakes/instance-ports.ts';
import { createClosedRoles } from './closed-roles.ts';
import { neutralizeCopy, releaseNeutralizing } from './neutralize.ts';
import { untilLive } from './until-live.ts';

function makeWorld() {
  const { world, ports } = fakeInstancePorts();
  world.secret = exampleCredentials;
  const context = exampleContext();
  const copy = { isHandedOver: false };
  const load = { id: context.operation.id, instanceId: context.instance.id, serverId: 's', round: 1, jobKey: 'key' };
  const orders: NeutralizeOrder[] = [];
  const workers: Pick<WorkerJobs, 'look' | 'start' | 'remove'> = {
    look: ports.jobs.look,
    remove: ports.jobs.remove,
    async start(job) {
      orders.push(JSON.parse(job.order));
      world.jobs.set(job.name, { state: 'running' });
    },
  };
  const all = {
    ...{ jobs: ports.jobs, workers: workers as WorkerJobs },
    loads: { read: async () => ({ ...load, state: 'loaded', result: null }) } as unknown as LoadRecords,
    loadDatabases: { isHandedOver: async () => copy.isHandedOver } as unknown as LoadDatabases,
    wrapper: { unwrap: async () => Buffer.alloc(32) } as unknown as KeyWrapper,
    storeAccess: async () => ({ kind: 'directory' as const, folder: '/store' }),
    workerImage: () => 'worker@sha256:0',
  };
  /** The Job whose name matches ends so. */
  const end = (name: RegExp, state: JobState) => {
    const [found] = [...world.jobs.keys()].filter((one) => name.test(one));
    world.jobs.set(found ?? '', state);
  };
  return { world, context, copy, all, orders, end };
}

const turn = async (step: Step<InstanceContext> | undefined, context: InstanceContext) => {
  const look = await step?.look(context);
  return look?.found === 'missing' ? await step?.act(context) : look;
};

describe('a loaded copy is made neutral', () => {
  test('by our rules, by the image, and by ours again with an identity', async () => {
    const { world, context, all, orders, end } = makeWorld();
    const [rules, image, identity] = neutralizeCopy(all);
    expect(await turn(rules, context)).toMatchObject({ found: 'waiting' });
    end(/-neutralize-.*-neutralize$/, { state: 'succeeded' });
    expect(await turn(rules, context)).toEqual(done);
    expect(await turn(image, context)).toMatchObject({ found: 'waiting' });
    const [job] = world.started;
    expect(job?.command.slice(0, 2)).toEqual(['odoo', 'neutralize']);
    expect(job?.odooConf).toMatch(/db_user = load_[a-z2-7]{12}_[0-9a-f]{8}_1\n/);
    world.jobs.set(job?.name ?? '', { state: 'succeeded' });
    expect(await turn(image, context)).toEqual(done);
    expect(await turn(identity, context)).toMatchObject({ found: 'waiting' });
    end(/-identity$/, { state: 'succeeded' });
    expect(await turn(identity, context)).toEqual(done);
    expect(orders.map((order) => order.identity)).toEqual([null, { baseUrl: context.publicUrl }]);
    for (const { database } of orders) expect(database.user).toBe(database.database);
  });

  test('never again once it is handed over: it is its tenant’s then', async () => {
    const { context, copy, all } = makeWorld();
    copy.isHandedOver = true;
    for (const step of neutralizeCopy(all)) expect(await step.look(context)).toEqual(done);
  });

  test('not when a statement of the tenant’s only says that it was lost', async () => {
    const { context, all, end } = makeWorld();
    const [rules] = neutralizeCopy(all);
    await turn(rules, context);
    const reason = 'Failed, exit code 1 (Error): job-failed: PostgreSQL refused a statement (P0001): x: timeout: y';
    end(/-neutralize$/, { state: 'failed', reason });
    await expect(rules?.look(context)).rejects.toMatchObject({ code: 'job-failed' });
  });

  test('not when something dangerous is left: that is for people to see', async () => {
    const { context, all, end } = makeWorld();
    const [rules] = neutralizeCopy(all);
    await turn(rules, context);
    const reason = 'BackoffLimitExceeded, exit code 1 (Error): not-allowed: The copy is not neutral: mail servers (1).';
    end(/-neutralize$/, { state: 'failed', reason });
    await expect(rules?.look(context)).rejects.toMatchObject({
      code: 'not-allowed',
      message: expect.stringContaining('mail servers (1)'),
    });
  });

  test.each([
    ['was evicted', { reason: 'Failed', wasInterrupted: true }],
    ['met a server that went away', { reason: 'exit code 1: unavailable: PostgreSQL cannot be reached' }],
    ['does not know whether it committed', { reason: 'exit code 1: outcome-unknown: The answer was lost' }],
  ])('by another Job where one %s', async (_what, failed) => {
    const { world, context, all, end } = makeWorld();
    for (const step of neutralizeCopy(all)) {
      if (step.name === 'neutralize-by-image' && !('wasInterrupted' in failed)) continue;
      await turn(step, context);
      end(/-neutral/, { state: 'failed', ...failed });
      expect(await turn(step, context)).toMatchObject({ found: 'waiting', for: expect.stringContaining('lost') });
      expect(world.jobs.size).toBe(0);
      expect(await turn(step, context)).toMatchObject({ found: 'waiting' });
      expect(world.jobs.size).toBe(1);
      world.jobs.clear();
    }
  });

  test('or not at all, when the image’s own statements fail', async () => {
    const { world, context, all } = makeWorld();
    const image = neutralizeCopy(all)[1];
    await image?.act(context);
    world.jobs.set(world.started[0]?.name ?? '', { state: 'failed', reason: 'exit code 1: timeout: a module says' });
    await expect(image?.look(context)).rejects.toMatchObject({ code: 'job-failed' });
  });

  test('and its Jobs go when it is', async () => {
    const { world, context, all } = makeWorld();
    const release = releaseNeutralizing(all);
    for (const step of neutralizeCopy(all)) await step.act(context);
    expect(world.jobs.size).toBe(3);
    expect(await release.look(context)).toEqual(missing);
    await release.act(context);
    expect(world.jobs.size).toBe(0);
    expect(await release.look(context)).toEqual(done);
  });
});

test('what comes before the live name is over with it', async () => {
  const step: Step<InstanceContext> = { name: 'load', look: async () => missing, act: async () => done };
  const at = (place: 'live' | 'absent') => untilLive({ databases: { whereabouts: async () => place } }, [step])[0];
  expect(await at('absent')?.look(exampleContext())).toEqual(missing);
  expect(await at('live')?.look(exampleContext())).toEqual(done);
});

test('a cancel takes what was loaded away before the roles that may own it', async () => {
  const { world, ports } = fakeInstancePorts();
  const step = createClosedRoles({ ...ports, release: async () => void world.did.push('release') });
  expect(await step.look(exampleContext())).toEqual(missing);
  await step.act(exampleContext());
  expect(world.mayLogIn).toBe(false);
  await step.undo?.(exampleContext());
  expect(world.did).toEqual(['create closed roles', 'release', 'remove database']);
});
