import { describe, expect, test } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import type { ClusterJobs, OdooJob, WarmDatabases } from '#shared/domain/instance/ports.ts';
import { templateKeyOf } from '#shared/domain/instance/template.ts';
import { exampleInstance, exampleServer } from '#shared/testing/examples.ts';
import { keepWarm, shortagesOf, templateJobName } from './warm-databases.ts';

const server = exampleServer();
const { image } = exampleInstance();
const template = templateKeyOf(image, [], 'en_US');
const name = templateJobName(template, server);

type JobState = Awaited<ReturnType<ClusterJobs['look']>>;

/** One server's templates and clones, and the cluster's Jobs, in memory. */
function makeWorld() {
  const did: string[] = [];
  const jobs: OdooJob[] = [];
  const world = {
    template: 'absent' as 'absent' | 'building' | 'ready',
    warm: 0,
    job: { state: 'absent' } as JobState,
    did,
    jobs,
    remembered: [] as string[],
  };
  const warm: WarmDatabases = {
    survey: async () =>
      world.template === 'absent' && world.warm === 0
        ? []
        : [{ digest: template.digest, template: world.template, warm: world.warm }],
    async beginTemplate(_server, { digest }, { password }) {
      did.push('begin');
      world.template = 'building';
      expect(password).toMatch(/^[A-Za-z0-9_-]{24}$/);
      return { database: `building_${digest}`, role: `build_${digest}` };
    },
    async finishTemplate() {
      did.push('finish');
      if (world.template !== 'building') throw new Failure('job-failed', 'There is nothing to finish.');
      world.template = 'ready';
    },
    retireTemplate: async (_server, digest) => void did.push(`retire ${digest}`),
    async refill(_server, _template, { target, atMost }) {
      const made = Math.min(target - world.warm, atMost);
      did.push(`refill ${made}`);
      world.warm += made;
      return made;
    },
  };
  const clusterJobs: Pick<ClusterJobs, 'look' | 'start' | 'remove'> = {
    look: async () => world.job,
    async start(job) {
      did.push('start');
      jobs.push(job);
      world.job = { state: 'running' };
    },
    async remove() {
      did.push('remove');
      world.job = { state: 'absent' };
    },
  };
  const ports = { warm, jobs: clusterJobs, remember: (secret: string) => void world.remembered.push(secret) };
  /** One tick: what was done and what is reported. */
  const tick = async (target = 5) => {
    did.length = 0;
    const [report] = await keepWarm(ports, server, [{ image, target }]);
    return { did: [...did], template: report?.template, warm: report?.warm, reason: report?.reason };
  };
  return { world, tick, ports };
}

describe('a template and its clones', () => {
  test('are made in bounded pieces, one tick after the other, until all is there', async () => {
    const { world, tick } = makeWorld();
    expect(await tick()).toMatchObject({ did: ['begin', 'start'], template: 'building', warm: 0 });
    expect(await tick()).toMatchObject({ did: [], template: 'building' });
    world.job = { state: 'succeeded' };
    expect(await tick()).toMatchObject({ did: ['finish', 'remove', 'refill 2'], template: 'ready', warm: 2 });
    expect(await tick()).toMatchObject({ did: ['refill 2'], warm: 4 });
    expect(await tick()).toMatchObject({ did: ['refill 1'], warm: 5 });
    expect(await tick()).toMatchObject({ did: [], template: 'ready', warm: 5 });
    // one is claimed
    world.warm -= 1;
    expect(await tick()).toMatchObject({ did: ['refill 1'], warm: 5 });
  });

  test('the Job carries the password in its file and nowhere else', async () => {
    const { world, tick } = makeWorld();
    await tick();
    const [job] = world.jobs;
    expect(job).toMatchObject({
      name,
      owner: `template-${template.digest}`,
      operationId: null,
      image: image.reference,
    });
    const password = /db_password = (.*)/.exec(job?.odooConf ?? '')?.[1] ?? '';
    expect(password).toMatch(/^[A-Za-z0-9_-]{24}$/);
    expect(JSON.stringify({ ...job, odooConf: undefined })).not.toContain(password);
    expect(world.remembered).toEqual([password]);
    expect(name.length).toBeLessThanOrEqual(63);
  });

  test('a Job that failed is reported at every tick and not built again', async () => {
    const { world, tick } = makeWorld();
    world.template = 'building';
    world.job = { state: 'failed', reason: 'exit code 1' };
    for (let round = 0; round < 3; round += 1) {
      expect(await tick()).toEqual({
        did: [],
        template: 'failed',
        warm: 0,
        reason: `Job ${name} failed: exit code 1. Delete the Job to have the template built anew.`,
      });
    }
    world.job = { state: 'absent' };
    expect(await tick()).toMatchObject({ did: ['begin', 'start'], template: 'building' });
  });

  test('a crash between the database and its Job is made good', async () => {
    const { world, tick } = makeWorld();
    world.template = 'building';
    expect(await tick()).toMatchObject({ did: ['begin', 'start'], template: 'building' });
  });

  test('a crash between finishing and removing the Job costs nothing', async () => {
    const { world, tick } = makeWorld();
    world.template = 'ready';
    world.job = { state: 'succeeded' };
    expect(await tick(1)).toMatchObject({ did: ['refill 1'], template: 'ready' });
  });

  test('a Job that outlived a dropped template makes room for the next one', async () => {
    const { world, tick } = makeWorld();
    world.job = { state: 'succeeded' };
    expect(await tick()).toMatchObject({ did: ['remove'], template: 'absent' });
    expect(await tick()).toMatchObject({ did: ['begin', 'start'], template: 'building' });
  });

  test('what nobody wishes is not kept', async () => {
    const { world, ports } = makeWorld();
    expect(await keepWarm(ports, server, [])).toEqual([]);
    expect(world.did).toEqual([]);
  });
});

test('each server has a Job of its own for a template', () => {
  expect(templateJobName(template, exampleServer({ id: 'two' }))).not.toBe(name);
});

test('what belongs to no active image goes, and a wish for no clones keeps what is there', async () => {
  const { world, ports } = makeWorld();
  world.template = 'ready';
  expect(await keepWarm(ports, server, [{ image, target: 0 }])).toEqual([]);
  expect(world.did).toEqual([]);
  await keepWarm(ports, server, [{ image: { ...image, addonsDigest: 'another' }, target: 0 }]);
  expect(world.did).toEqual(['remove', `retire ${template.digest}`]);
});

test('a pool of less than half is a shortage, and so is a template that is not ready', () => {
  const of = (found: Parameters<typeof shortagesOf>[2], target = 5) =>
    shortagesOf('one', [{ image, target }], found).map(({ reason }) => reason);
  const { digest } = template;
  expect(of([{ digest, template: 'ready', warm: 3 }])).toEqual([]);
  expect(of([{ digest, template: 'ready', warm: 2 }])).toEqual([`fewer than half of 5 clones for image ${image.id}`]);
  const none = [`its template is not ready: none of 5 clones for image ${image.id}`];
  expect(of([{ digest, template: 'building', warm: 0 }])).toEqual(none);
  expect(of([])).toEqual(none);
  expect(of([], 0)).toEqual([]);
});
