import { describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import { done, missing } from '#shared/domain/operation/step.ts';
import { makeWorld } from './backup-steps.fixture.ts';
import { makeBackup } from './make-backup.ts';
import { releaseBackup, releaseBackupStep } from './release-backup.ts';

const lost = { state: 'failed', reason: 'BackoffLimitExceeded', wasInterrupted: true } as const;

describe('a backup', () => {
  test('has its intent before its role, its role before its Job, and its secrets in the order only', async () => {
    const { world, ports, context, jobName, place } = makeWorld();
    const step = makeBackup(ports);
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toMatchObject({ found: 'waiting', for: `Job ${jobName(1)}` });
    expect(world.did).toEqual(['begin round 1', 'open the database under fence 3', `start ${jobName(1)}`]);
    const [job] = world.started;
    const order = JSON.parse(job?.order ?? '{}') as Record<string, unknown>;
    expect(order).toMatchObject({ task: 'backup', attempt: 1, prefix: place(1), backupId: context.operation.id });
    expect(order).toMatchObject({ filestore: '/var/lib/odoo/filestore/odoo_abcdefgh2345', facts: { kind: 'manual' } });
    const { order: _order, ...rest } = job ?? {};
    expect(JSON.stringify(rest)).not.toContain((order['database'] as { password: string }).password);
    expect(job?.volume).toEqual({ claimName: 'odoo-abcdefgh2345', isInUse: true });
    expect(await step.look(context)).toMatchObject({ found: 'waiting' });
  });

  test('of which two processes go on has the same password and key for both', async () => {
    const { world, ports, context } = makeWorld();
    await makeBackup(ports).act(context);
    world.jobs.clear();
    await makeBackup(ports).act(context);
    const [one, other] = world.started.map(({ order }) => order);
    expect(one).toBe(other);
  });

  test('is done when its result is there, whatever has become of its Job', async () => {
    const { world, ports, context, jobName, place } = makeWorld();
    const step = makeBackup(ports);
    await step.act(context);
    world.objects.set(`${place(1)}/manifest`, Buffer.from('{}'));
    for (const state of [{ state: 'succeeded' }, { state: 'failed', reason: 'Evicted' }, lost] as const) {
      world.jobs.set(jobName(1), state);
      expect(await step.look(context)).toEqual(done);
    }
    world.jobs.clear();
    expect(await step.look(context)).toEqual(done);
  });

  test('writes elsewhere when a Job of it was lost at work, and gives up after three', async () => {
    const { world, ports, context, jobName, place } = makeWorld();
    const step = makeBackup(ports);
    await step.act(context);
    world.jobs.set(jobName(1), lost);
    expect(await step.look(context)).toEqual(missing);
    await step.act(context);
    world.objects.set(`${place(2)}/progress`, Buffer.from('{}'));
    world.jobs.delete(jobName(2));
    expect(await step.look(context)).toEqual(missing);
    await step.act(context);
    expect(world.started.map(({ name }) => name)).toEqual([jobName(1), jobName(2), jobName(3)]);
    expect(new Set(world.started.map(({ order }) => order)).size).toBe(3);
    world.jobs.set(jobName(3), { state: 'succeeded' });
    expect(await step.look(context)).toEqual(missing);
    await expect(step.act(context)).rejects.toMatchObject({ code: 'job-failed' });
    expect(world.started).toHaveLength(3);
  });

  test('whose Job could not be made is tried again in the same place', async () => {
    const { world, ports, context, jobName } = makeWorld();
    const step = makeBackup(ports);
    const { start } = ports.workers;
    ports.workers.start = async () => {
      throw new Failure('unavailable', 'The API server is away.');
    };
    for (let times = 0; times < 5; times += 1) await expect(step.act(context)).rejects.toThrow('away');
    ports.workers.start = start;
    await step.act(context);
    expect(world.started.map(({ name }) => name)).toEqual([jobName(1)]);
  });

  test('fails with the worker’s own words', async () => {
    const { world, ports, context, jobName } = makeWorld();
    const step = makeBackup(ports);
    await step.act(context);
    world.jobs.set(jobName(1), { state: 'failed', reason: 'exit code 1: The store is full.', wasInterrupted: false });
    await expect(step.look(context)).rejects.toMatchObject({
      code: 'job-failed',
      message: expect.stringContaining('The store is full.'),
    });
  });

  test('tells how far it is, and takes no notice of a progress that nobody can read', async () => {
    const { world, ports, context, place } = makeWorld();
    const step = makeBackup(ports);
    await step.act(context);
    world.objects.set(`${place(1)}/progress`, Buffer.from('no JSON'));
    await step.look(context);
    expect(world.progress).toBeUndefined();
    const progress = { phase: 'dump', done: 5, total: null, unit: 'bytes', at: '2027-01-31T10:00:00.000Z' };
    world.objects.set(`${place(1)}/progress`, Buffer.from(JSON.stringify(progress)));
    await step.look(context);
    expect(world.progress).toEqual(progress);
  });

  test('waits for a slot without having opened anything', async () => {
    const { world, ports, context } = makeWorld();
    ports.records.begin = async () => {
      throw new Failure('no-capacity', 'All slots are taken.');
    };
    await expect(makeBackup(ports).act(context)).rejects.toMatchObject({ code: 'no-capacity' });
    expect(world.did).toEqual([]);
  });
});

describe('what a backup was given', () => {
  const atWork = async () => {
    const made = makeWorld();
    await makeBackup(made.ports).act(made.context);
    made.world.jobs.set(made.jobName(1), lost);
    await makeBackup(made.ports).act(made.context);
    made.world.did.length = 0;
    return made;
  };

  test('is taken back at its end: the Jobs of all rounds first, then the way into the database', async () => {
    const { world, ports, context, jobName } = await atWork();
    const step = releaseBackupStep(ports);
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toEqual(done);
    expect(world.did).toEqual([`remove ${jobName(1)}`, `remove ${jobName(2)}`, 'close the database']);
    expect(await step.look(context)).toEqual(done);
  });

  test('keeps nobody waiting while the database server is away, but for a good end', async () => {
    const { world, ports, context } = await atWork();
    world.closing = new Failure('unavailable', 'The server is away.');
    await releaseBackup(context, ports);
    expect(world.jobs.size).toBe(0);
    await expect(releaseBackupStep(ports).act(context)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test.each(['fenced', 'misconfigured', 'internal'] as const)('is not given up for one that is %s', async (code) => {
    const { world, ports, context } = await atWork();
    world.closing = new Failure(code, 'No.');
    await expect(releaseBackup(context, ports)).rejects.toMatchObject({ code });
  });

  test('of one that never began is nothing', async () => {
    const { world, ports, context } = makeWorld();
    world.closing = new Failure('unavailable', 'The server is away.');
    await releaseBackup(context, ports);
    expect(world.did).toEqual([]);
  });
});
