import { describe, expect, test } from 'vitest';
import type { VerifyOrder } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import { done, missing } from '#shared/domain/operation/step.ts';
import { acceptVerdict } from './accept-verdict.ts';
import { releaseVerification, releaseVerificationStep } from './release-verification.ts';
import { restoreToVerify } from './restore-to-verify.ts';
import { makeVerifyWorld } from './verify-steps.fixture.ts';

const lost = { state: 'failed', reason: 'BackoffLimitExceeded', wasInterrupted: true } as const;
const orderOf = (job: { order: string } | undefined) => JSON.parse(job?.order ?? '{}') as VerifyOrder;

describe('restoring to verify', () => {
  test('has its row before its database, its database before its Job, and its secrets in the order only', async () => {
    const { world, ports, context, jobName, place, backup } = makeVerifyWorld();
    const step = restoreToVerify(ports);
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toMatchObject({ found: 'waiting', for: `Job ${jobName(1)}` });
    expect(world.did).toEqual(['begin round 1', 'create verify_2c3d4e5f_1 under fence 3', `start ${jobName(1)}`]);
    const [job] = world.started;
    const order = orderOf(job);
    expect(order).toMatchObject({ task: 'verify', attempt: 1, prefix: place(1), manifest: backup.manifest });
    // owned by a role of its own, on a server of no tenant's
    expect(order.database).toMatchObject({ user: 'verify_2c3d4e5f_1', database: 'verify_2c3d4e5f_1' });
    expect(world.databases.get('verify_2c3d4e5f_1')).toBe(order.database.password);
    const { order: _order, ...rest } = job ?? {};
    for (const secret of [order.database.password, order.keys.dump, order.keys.files, order.resultKey]) {
      expect(JSON.stringify(rest)).not.toContain(secret);
    }
    expect(await step.look(context)).toMatchObject({ found: 'waiting' });
  });

  test('is done when its result is there, whatever has become of its Job', async () => {
    const { world, ports, context, jobName, leaveResult } = makeVerifyWorld();
    const step = restoreToVerify(ports);
    await step.act(context);
    leaveResult(1);
    for (const state of [{ state: 'succeeded' }, { state: 'absent' }, lost] as const) {
      world.jobs.set(jobName(1), state);
      expect(await step.look(context)).toEqual(done);
    }
  });

  test('goes on with another Job, in another database, when one was lost at work, and gives up after three', async () => {
    const { world, ports, context, jobName, place } = makeVerifyWorld();
    const step = restoreToVerify(ports);
    await step.act(context);
    world.jobs.set(jobName(1), lost);
    expect(await step.look(context)).toEqual(missing);
    await step.act(context);
    world.jobs.delete(jobName(2));
    world.objects.set(`${place(2)}/progress`, Buffer.from('{}'));
    await step.act(context);
    expect(world.started.map(({ name }) => name)).toEqual([jobName(1), jobName(2), jobName(3)]);
    const secrets = world.started.map((job) => orderOf(job)).flatMap((one) => [one.resultKey, one.database.password]);
    expect(new Set(secrets).size).toBe(6);
    expect([...world.databases.keys()]).toEqual(['verify_2c3d4e5f_1', 'verify_2c3d4e5f_2', 'verify_2c3d4e5f_3']);
    world.jobs.set(jobName(3), lost);
    await expect(step.act(context)).rejects.toMatchObject({ code: 'job-failed' });
  });

  test('of a Job that failed by itself fails with its words', async () => {
    const { world, ports, context, jobName } = makeVerifyWorld();
    const step = restoreToVerify(ports);
    await step.act(context);
    world.jobs.set(jobName(1), { state: 'failed', reason: 'exit code 1: unavailable: The store is away.' });
    await expect(step.look(context)).rejects.toThrow('The store is away.');
  });

  test.each([
    ['gone', undefined],
    ['another than was recorded', Buffer.from('{}')],
  ])('refutes a backup whose manifest is %s, without a Job or a database', async (_how, bytes) => {
    const { world, ports, context, backup } = makeVerifyWorld();
    if (bytes === undefined) world.objects.clear();
    else world.objects.set(backup.manifest?.key ?? '', bytes);
    await expect(restoreToVerify(ports).act(context)).rejects.toMatchObject({ code: 'damaged' });
    expect(world.did).toEqual(['begin round 1', 'refuted']);
  });

  test('leaves a backup alone whose manifest cannot be read at the moment', async () => {
    const { world, ports, context } = makeVerifyWorld();
    ports.store.get = async () => {
      throw new Failure('unavailable', 'The store is away.');
    };
    await expect(restoreToVerify(ports).act(context)).rejects.toMatchObject({ code: 'unavailable' });
    expect(world.row?.state).toBe('running');
  });
});

describe('the verdict', () => {
  async function restored() {
    const made = makeVerifyWorld();
    await restoreToVerify(made.ports).act(made.context);
    return { ...made, step: acceptVerdict(made.ports) };
  }

  test('proves a backup of which nothing differs, once', async () => {
    const { world, context, leaveResult, step } = await restored();
    leaveResult(1);
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toEqual(done);
    expect(await step.look(context)).toEqual(done);
    expect(world.row).toMatchObject({ state: 'proven', odooBooted: false });
  });

  test('refutes it by the first differences, and says how many there are', async () => {
    const { world, context, leaveResult, step } = await restored();
    leaveResult(1, { differences: ['One.', 'Two.', 'Three.', 'Four.'], more: 2 });
    const failure = { code: 'damaged', message: expect.stringContaining('One. Two. Three. (2 more)') };
    await expect(step.act(context)).rejects.toMatchObject(failure);
    expect(world.row?.differences).toEqual(['One.', 'Two.', 'Three.', 'Four.', '2 more']);
    // whoever goes on, after a crash in between, says the same
    await expect(step.look(context)).rejects.toMatchObject(failure);
  });

  test.each([
    ['of another instance', { instanceId: 'zzzzzzzzzzzz' }],
    ['of another backup', { backupId: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e61' }],
    ['of another Job', { attempt: 2 }],
    ['for another manifest', { manifestSha256: 'ab'.repeat(32) }],
  ])('is never taken from a result %s', async (_what, found) => {
    const { world, context, leaveResult, step } = await restored();
    leaveResult(1, found);
    await expect(step.act(context)).rejects.toBeInstanceOf(Failure);
    expect(world.row?.state).toBe('running');
  });

  test('is never taken from a result that somebody else signed, or that is gone', async () => {
    const { world, context, leaveResult, place, step } = await restored();
    leaveResult(1, {}, Buffer.alloc(32, 9).toString('base64'));
    await expect(step.act(context)).rejects.toMatchObject({ code: 'damaged' });
    world.objects.delete(`${place(1)}/result`);
    await expect(step.act(context)).rejects.toMatchObject({ code: 'job-failed' });
    expect(world.row?.state).toBe('running');
  });
});

describe('what a verification has made', () => {
  test('goes with it: Jobs and databases of all rounds', async () => {
    const { world, ports, context, jobName } = makeVerifyWorld();
    const restore = restoreToVerify(ports);
    const step = releaseVerificationStep(ports);
    expect(await step.look(context)).toEqual(done);
    await restore.act(context);
    world.jobs.set(jobName(1), lost);
    await restore.act(context);
    world.jobs.set(jobName(2, 'boot'), { state: 'running' });
    expect(await step.look(context)).toEqual(missing);
    await step.act(context);
    expect([...world.jobs.keys(), ...world.databases.keys()]).toEqual([]);
    expect(await step.look(context)).toEqual(done);
  });

  test('keeps nobody waiting for a server that is away, when the verification ends otherwise than well', async () => {
    const { world, ports, context } = makeVerifyWorld();
    await restoreToVerify(ports).act(context);
    world.dropping = new Failure('unavailable', 'The server is away.');
    await releaseVerification(context, ports);
    expect(world.jobs.size).toBe(0);
    world.dropping = new Failure('internal', 'a bug');
    await expect(releaseVerification(context, ports)).rejects.toThrow('a bug');
    world.dropping = new Failure('fenced', 'somebody else');
    await expect(releaseVerification(context, ports)).rejects.toMatchObject({ code: 'fenced' });
  });
});
