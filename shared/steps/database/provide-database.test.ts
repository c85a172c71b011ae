import { describe, expect, test } from 'vitest';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import { done, missing } from '#shared/domain/operation/step.ts';
import { exampleContext, exampleCredentials, exampleInstance, exampleOperation } from '#shared/testing/examples.ts';
import { fakeInstancePorts } from '#shared/testing/fakes/instance-ports.ts';
import { provideDatabase } from './provide-database.ts';

const job = (round: number) => `odoo-abcdefgh2345-init-2c3d4e5f-${round}`;
const waitingForJob = (round: number) => ({ found: 'waiting', for: `Job ${job(round)}`, checkAfterMs: 5_000 });

function makeStep({ round = 1 } = {}) {
  const { world, ports } = fakeInstancePorts();
  world.secret = exampleCredentials;
  const step = provideDatabase(ports);
  const context = exampleContext({ operation: exampleOperation({ round }) });
  /** As the runner goes: a look, and an act if something is missing. */
  const turn = async (at: InstanceContext = context) => {
    const look = await step.look(at);
    return look.found === 'missing' ? await step.act(at) : look;
  };
  return { world, step, context, turn };
}

describe('an instance gets its database', () => {
  test('by the rename of a warm one, without any Job', async () => {
    const { world, step, context } = makeStep();
    world.warm = 1;
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toEqual(done);
    expect(world.did).toEqual(['claim']);
    expect(await step.look(context)).toEqual(done);
  });

  test('by a clone of the template when the pool is empty', async () => {
    const { world, turn } = makeStep();
    world.hasTemplate = true;
    expect(await turn()).toEqual(done);
    expect(world.did).toEqual(['clone']);
  });

  test('by a Job when there is no template', async () => {
    const { world, turn } = makeStep();
    expect(await turn()).toEqual(waitingForJob(1));
    expect(world.did).toEqual(['create empty over absent', `start ${job(1)}`]);
    expect(world.started[0]).toMatchObject({ owner: 'abcdefgh2345', odooConf: 'db_password = of-the-database' });
    // every look of before the end finds the same, also when base is there already
    world.did.length = 0;
    expect(await turn()).toEqual(waitingForJob(1));
    world.database = 'initialising';
    expect(await turn()).toEqual(waitingForJob(1));
    world.jobs.set(job(1), { state: 'succeeded' });
    expect(await turn()).toEqual(done);
    expect(world.did).toEqual([]);
  });

  test('and a database that is there counts for done, however often it is asked', async () => {
    const { world, turn } = makeStep();
    world.database = 'initialised';
    world.warm = 1;
    expect(await turn()).toEqual(done);
    expect(world.did).toEqual([]);
  });
});

describe('a Job', () => {
  test('that was begun is not begun again after a crash', async () => {
    const { world, turn } = makeStep();
    world.database = 'empty';
    world.jobs.set(job(1), { state: 'running' });
    expect(await turn()).toEqual(waitingForJob(1));
    expect(world.did).toEqual([]);
  });

  test('that a crash kept from beginning is begun', async () => {
    const { world, turn } = makeStep();
    world.database = 'empty';
    world.warm = 1;
    expect(await turn()).toEqual(waitingForJob(1));
    expect(world.did).toEqual(['create empty over empty', `start ${job(1)}`]);
  });

  test('that failed stops the operation, with its reason', async () => {
    const { world, turn } = makeStep();
    world.database = 'initialising';
    world.jobs.set(job(1), { state: 'failed', reason: 'BackoffLimitExceeded, exit code 1' });
    await expect(turn()).rejects.toMatchObject({
      code: 'job-failed',
      message: `Job ${job(1)}, which initialises the database, failed: BackoffLimitExceeded, exit code 1. See its log.`,
    });
    expect(world.did).toEqual([]);
  });

  test('that succeeded without a result stops it, too', async () => {
    const { world, turn } = makeStep();
    world.database = 'empty';
    world.jobs.set(job(1), { state: 'succeeded' });
    await expect(turn()).rejects.toMatchObject({
      code: 'job-failed',
      message: `Job ${job(1)}, which initialises the database, succeeded, but Odoo's base is not installed. See its log.`,
    });
  });

  test('that ends between the look at the database and the look at it has done its work', async () => {
    const { world, turn } = makeStep();
    world.database = 'empty';
    world.jobs.set(job(1), { state: 'succeeded' });
    world.afterJobLook = () => {
      world.database = 'initialising';
    };
    expect(await turn()).toEqual(done);
  });
});

describe('a retry', () => {
  test('begins a broken database from nothing, with a Job of its own', async () => {
    const { world, turn } = makeStep({ round: 2 });
    world.database = 'initialising';
    world.jobs.set(job(1), { state: 'failed', reason: 'exit code 1' });
    expect(await turn()).toEqual(waitingForJob(2));
    expect(world.did).toEqual(['create empty over initialising', `start ${job(2)}`]);
  });

  test('waits for the Job of the round before while that is at work, and takes its result', async () => {
    const { world, turn } = makeStep({ round: 3 });
    world.database = 'initialising';
    world.jobs.set(job(2), { state: 'running' });
    expect(await turn()).toEqual(waitingForJob(2));
    world.jobs.set(job(2), { state: 'succeeded' });
    expect(await turn()).toEqual(done);
    expect(world.did).toEqual([]);
  });

  test('begins again when the Job of the round before left nothing', async () => {
    const { world, turn } = makeStep({ round: 2 });
    world.database = 'empty';
    world.jobs.set(job(1), { state: 'succeeded' });
    expect(await turn()).toEqual(waitingForJob(2));
  });
});

describe('undoing', () => {
  test('removes the Jobs of all rounds, then the database', async () => {
    const { world, step, context } = makeStep({ round: 2 });
    world.database = 'initialising';
    world.jobs.set(job(1), { state: 'failed', reason: 'x' });
    world.jobs.set(job(2), { state: 'running' });
    await step.undo?.(context);
    expect(world.did).toEqual([`remove ${job(2)}`, `remove ${job(1)}`, 'remove database']);
    await step.undo?.(context);
  });

  test('touches no server when the instance is on none', async () => {
    const { world, step } = makeStep();
    await step.undo?.(exampleContext({ instance: exampleInstance({ databaseServer: null }) }));
    expect(world.did).toEqual([]);
  });
});
