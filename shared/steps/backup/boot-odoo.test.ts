import { describe, expect, test } from 'vitest';
import type { BootOrder } from '#shared/domain/backup/boot-order.ts';
import type { BootJob } from '#shared/domain/backup/job-ports.ts';
import { done, missing } from '#shared/domain/operation/step.ts';
import { acceptVerdict } from './accept-verdict.ts';
import { bootOdoo } from './boot-odoo.ts';
import { restoreToVerify } from './restore-to-verify.ts';
import { makeVerifyWorld } from './verify-steps.fixture.ts';

/** A verification whose Job has restored the backup and found nothing wrong with it. */
async function restored(change: Parameters<typeof makeVerifyWorld>[0] = { request: { boot: true } }) {
  const made = makeVerifyWorld(change);
  await restoreToVerify(made.ports).act(made.context);
  made.leaveResult(1);
  made.world.did.length = 0;
  const name = made.jobName(1, 'boot');
  return { ...made, step: bootOdoo(made.ports), verdict: acceptVerdict(made.ports), name };
}

describe('Odoo on a restored backup', () => {
  test('is started by the image of the instance on the database that was restored, and proves it booted', async () => {
    const { world, context, step, verdict, name } = await restored();
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toMatchObject({ found: 'waiting', for: `Job ${name}` });
    expect(world.did).toEqual(['boot wanted', `start ${name}`]);
    const job = world.started.at(-1) as BootJob;
    const order = JSON.parse(job.order) as BootOrder;
    const database = { database: 'verify_2c3d4e5f_1', user: 'verify_2c3d4e5f_1' };
    expect(job).toMatchObject({ image: 'odoo@sha256:0', workerImage: 'the worker' });
    expect(order).toMatchObject({
      database: { ...database, password: world.databases.get('verify_2c3d4e5f_1') },
      counts: [
        { model: 'res.partner', rows: 5 },
        { model: 'res.users', rows: 2 },
      ],
    });
    expect(order.password).not.toBe(order.database.password);
    expect(job.odooConf).toContain('db_name = verify_2c3d4e5f_1\n');
    expect(job.odooConf).toContain('max_cron_threads = 0\n');
    // no key of the backup, and no way to the store
    expect(Object.keys(order)).not.toContain('keys');
    expect(Object.keys(order)).not.toContain('store');

    expect(await step.look(context)).toMatchObject({ found: 'waiting' });
    world.jobs.set(name, { state: 'succeeded' });
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toEqual(done);
    expect(await step.look(context)).toEqual(done);
    await verdict.act(context);
    expect(world.row).toMatchObject({ state: 'proven', odooBooted: true });
  });

  test('that finds other records, or does not come up, refutes no backup: it is proven, and somebody is told', async () => {
    const { world, ports, context, step, verdict, name } = await restored();
    await step.act(context);
    world.jobs.set(name, { state: 'failed', exitCode: 4, reason: 'exit code 4: Odoo finds 4 records of res.partner' });
    expect(await step.act(context)).toEqual(done);
    expect(await step.look(context)).toEqual(done);
    await expect(verdict.act(context)).rejects.toMatchObject({
      code: 'job-failed',
      message: expect.stringContaining('Odoo finds 4 records of res.partner'),
    });
    expect(world.row).toMatchObject({ state: 'proven', odooBooted: false, boot: 'failed', differences: [] });
    // a retry looks again, in another round
    const restore = restoreToVerify(ports);
    expect(await restore.look(context)).toEqual(missing);
    await restore.act(context);
    expect(world.row).toMatchObject({ state: 'running', round: 2, boot: null });
  });

  test('about which nothing could be told leaves the backup as it was', async () => {
    const { world, context, step, name } = await restored();
    await step.act(context);
    world.jobs.set(name, { state: 'failed', exitCode: 1, reason: 'exit code 1: unavailable: PostgreSQL is away' });
    await expect(step.act(context)).rejects.toMatchObject({ code: 'job-failed' });
    expect(world.row?.state).toBe('running');
  });

  test('whose Job was interrupted is started again, once that one is gone', async () => {
    const { world, context, step, name } = await restored();
    await step.act(context);
    world.jobs.set(name, { state: 'failed', reason: 'Evicted', wasInterrupted: true });
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toMatchObject({ found: 'waiting' });
    await step.act(context);
    expect(world.did.slice(-3)).toEqual([`start ${name}`, `remove ${name}`, `start ${name}`]);
  });

  test('is not asked where the backup differs already: the verdict says so', async () => {
    const { world, context, step, verdict, leaveResult } = await restored();
    leaveResult(1, { differences: ['A table is missing.'] });
    expect(await step.act(context)).toEqual(done);
    expect(world.did).toEqual([]);
    await expect(verdict.act(context)).rejects.toThrow('A table is missing.');
  });

  test.each([
    ['outside the sample', { request: {} }, false],
    ['when somebody says no', { request: { boot: false } }, false],
    [
      'of another image than the instance has',
      { request: { boot: true }, result: { imageId: 'odoo-19-older' } },
      false,
    ],
    ['without Odoo in it', { request: { boot: true }, result: { odooVersion: null } }, false],
    ['that is the final one', { backup: { kind: 'final' } }, true],
    ['that is the final one, though somebody says no', { request: { boot: false }, backup: { kind: 'final' } }, true],
  ] as const)('a backup %s', async (_which, change, isStarted) => {
    const { world, context, step, verdict } = await restored(change);
    const looked = await step.act(context);
    expect(world.row?.boot).toBe(isStarted ? 'wanted' : 'not-wanted');
    if (isStarted) return;
    expect(looked).toEqual(done);
    await verdict.act(context);
    expect(world.row).toMatchObject({ state: 'proven', odooBooted: false });
  });
});
