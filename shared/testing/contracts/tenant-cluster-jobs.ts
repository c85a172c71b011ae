import { describe, expect, it } from 'vitest';
import { type Kind, kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { exampleInstance } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import type { WorkerJob, WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { ClusterJobs, JobRunner, OdooJob } from '#shared/domain/instance/ports.ts';

/** The part that is tested, and the server behind it as anybody else reaches it. */
type Reached = {
  jobs: ClusterJobs;
  workers: WorkerJobs;
  read(kind: Kind, name: string): Promise<object | undefined>;
  create(kind: Kind, body: object): Promise<void>;
};

/** What becomes of the Jobs that an operation starts, and of the Secrets with their configuration. */
export function clusterJobsContract(name: string, reached: () => Reached): void {
  jobsContract(`Jobs on ${name}`, { reached, jobOf, runner: ({ jobs }) => jobs });
  jobsContract(`Jobs of the worker on ${name}`, { reached, jobOf: workerJobOf, runner: ({ workers }) => workers });

  describe(`Jobs of the worker on ${name}`, () => {
    it('are listed with their operations, all of them and no others', async () => {
      const { jobs, workers } = reached();
      const instance = exampleInstance();
      const job = workerJobOf(instance);
      await workers.start(job);
      await jobs.start(jobOf(instance));
      const listed = (await workers.list()).filter(({ instanceId }) => instanceId === instance.id);
      expect(listed).toEqual([{ name: job.name, operationId: job.operationId, instanceId: instance.id }]);
      await workers.remove(job.name);
      expect((await workers.list()).some(({ instanceId }) => instanceId === instance.id)).toBe(false);
    });

    it('go with whatever else of the instance is taken down', async () => {
      const { jobs, workers } = reached();
      const job = workerJobOf(exampleInstance());
      await workers.start(job);
      expect(await jobs.countOf(job.owner)).toBe(1);
      await jobs.removeAllOf(job.owner);
      expect(await workers.look(job.name)).toEqual({ state: 'absent' });
    });
  });
}

function jobsContract<Job extends { name: string }>(
  name: string,
  options: { reached: () => Reached; jobOf: (instance: Instance) => Job; runner: (reached: Reached) => JobRunner<Job> },
): void {
  const { reached: parts, jobOf, runner } = options;
  const reached = () => ({ ...parts(), jobs: runner(parts()) });
  describe(name, () => {
    it('start once, with their configuration in a Secret of their own', async () => {
      const { jobs, read } = reached();
      const job = jobOf(exampleInstance());
      expect(await jobs.look(job.name)).toEqual({ state: 'absent' });
      await jobs.start(job);
      await jobs.start(job);
      expect(await jobs.look(job.name)).toEqual({ state: 'running' });
      expect(JSON.stringify(await read(kinds.job, job.name))).not.toContain('job-secret');
      expect(await read(kinds.secret, job.name)).toBeDefined();
    });

    it('take their Secret along when they are removed', async () => {
      const { jobs, read } = reached();
      const job = jobOf(exampleInstance());
      await jobs.start(job);
      await jobs.remove(job.name);
      await jobs.remove(job.name);
      expect(await jobs.look(job.name)).toEqual({ state: 'absent' });
      await expect.poll(() => read(kinds.secret, job.name), { timeout: 10_000 }).toBeUndefined();
    });

    it('of somebody else are neither looked at nor removed', async () => {
      const { jobs, create } = reached();
      const job = jobOf(exampleInstance());
      const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'b' }] } };
      await create(kinds.job, { metadata: { name: job.name }, spec: { template } });
      const refused = { code: 'foreign-object' };
      await expect(jobs.look(job.name)).rejects.toMatchObject(refused);
      await expect(jobs.start(job)).rejects.toMatchObject(refused);
      await expect(jobs.remove(job.name)).rejects.toMatchObject(refused);
    });
  });
}

/** A backup's Job of an instance. */
export function workerJobOf(instance: Instance): WorkerJob {
  return {
    name: `odoo-${instance.id}-backup-abcdefgh-1`,
    owner: instance.id,
    operationId: '0199a000-0000-7000-8000-000000000002',
    task: 'backup',
    image: 'odoo-fleet/worker',
    order: '{"resultKey":"job-secret"}',
    volume: { claimName: namesOf(instance.id).object, isInUse: true },
    memoryMib: 512,
    deadlineSeconds: 600,
  };
}

/** A Job of an instance. */
export function jobOf(instance: Instance): OdooJob {
  return {
    name: `odoo-${instance.id}-init-abc-1`,
    owner: instance.id,
    operationId: '0199a000-0000-7000-8000-000000000001',
    image: 'odoo:19',
    command: ['odoo', '--init=base', '--stop-after-init'],
    odooConf: '[options]\ndb_password = job-secret\n',
    environment: {},
    memoryMib: 512,
    deadlineSeconds: 600,
  };
}
