import { describe, expect, it } from 'vitest';
import type { WorkerJob } from '#shared/domain/backup/job-ports.ts';
import { jobSecret, odooJob } from './job.ts';
import { full, job, settings, worker } from './jobs.fixture.ts';
import { workerJob, workerSecret } from './worker-job.ts';

describe('a Job of the worker', () => {
  it('is this, with its order in a Secret it owns', () => {
    expect({ job: workerJob(worker, full), secret: workerSecret(worker, 'x', 'uid-of-the-job') }).toMatchSnapshot();
  });

  it('holds no secret itself, and has no token', () => {
    const text = JSON.stringify(workerJob(worker, settings));
    expect(text).not.toContain('job-secret');
    expect(text).not.toContain(Buffer.from('job-secret').toString('base64').slice(0, 8));
    expect(workerJob(worker, settings).spec?.template.spec?.automountServiceAccountToken).toBe(false);
  });

  it('goes to the node of the pods that have the volume, and anywhere while there are none', () => {
    const affinityOf = (volume: WorkerJob['volume']) =>
      workerJob({ ...worker, volume }, settings).spec?.template.spec?.affinity;
    expect(affinityOf(worker.volume)?.podAffinity).toBeDefined();
    expect(affinityOf({ claimName: 'odoo-abcdefgh2345', isInUse: false })).toBeUndefined();
    expect(affinityOf(null)).toBeUndefined();
  });

  it('may write to nothing but its temporary folder', () => {
    const [container] = workerJob(worker, settings).spec?.template.spec?.containers ?? [];
    const writable = container?.volumeMounts?.filter(({ readOnly }) => readOnly !== true);
    expect(writable?.map(({ mountPath }) => mountPath)).toEqual(['/var/run/worker']);
  });
});

describe('a Job', () => {
  it('is this, with its configuration in a Secret it owns', () => {
    expect({ job: odooJob(job, full), secret: jobSecret(job, full.namespace, 'uid-of-the-job') }).toMatchSnapshot();
  });

  it('holds no secret itself', () => {
    const text = JSON.stringify(odooJob(job, settings));
    expect(text).not.toContain('job-secret');
    expect(text).not.toContain(Buffer.from('job-secret').toString('base64').slice(0, 8));
  });
});
