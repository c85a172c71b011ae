import { credentialsSecret } from '#shared/adapters/kubernetes/resources/credentials-secret.ts';
import { jobSecret, odooJob } from '#shared/adapters/kubernetes/resources/job.ts';
import type { ClusterSettings } from '#shared/adapters/kubernetes/resources/settings.ts';
import { workerJob, workerSecret } from '#shared/adapters/kubernetes/resources/worker-job.ts';
import { exampleInstance, exampleRuntime } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import { targetsOf } from '#shared/adapters/kubernetes/wanted-objects.ts';
import { type WorkerTask, workerJobName } from '#shared/domain/backup/job-names.ts';
import type { WorkerJob } from '#shared/domain/backup/job-ports.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { clusterParts, type OdooJob } from '#shared/domain/instance/ports.ts';
import type { Manifest } from './kustomize.ts';

/** As the functions have them from their default settings. */
const settings: ClusterSettings = {
  namespace: 'odoo-tenants',
  clientNamespaces: [{ 'kubernetes.io/metadata.name': 'ingress-nginx' }],
  ingressClassName: 'nginx',
  tlsSecretName: 'wildcard',
  certificateIssuer: 'letsencrypt',
  storageClassName: 'fast',
};

/** Instances whose objects differ in form: one process, web and cron apart, suspended. */
export function exampleInstances(): Record<'small' | 'large' | 'suspended', Instance> {
  const [small, large, suspended] = [exampleInstance(), exampleInstance(), exampleInstance()];
  return {
    small,
    large: { ...large, domains: ['shop.example.net'], plan: { ...large.plan, replicas: 2, workers: 2 } },
    suspended: { ...suspended, suspensions: ['billing', 'abuse'] },
  };
}

/** Every object of an instance that a function writes. */
export function objectsOf(instance: Instance): Manifest[] {
  const wanted = exampleRuntime();
  const parts = clusterParts.flatMap((part) => targetsOf(instance, part, { settings, wanted }));
  const secret = credentialsSecret(instance.id, settings.namespace, wanted.credentials);
  return [secret, ...parts.map((target) => target.wanted)] as unknown as Manifest[];
}

/** A Job and its Secret. */
export function jobObjectsOf(job: OdooJob): Manifest[] {
  return [
    odooJob(job, settings),
    jobSecret(job, settings.namespace, 'aaaaaaaa-0000-4000-8000-000000000000'),
  ] as Manifest[];
}

/** A Job of the worker and its Secret. All but that of a verification mount the instance's volume; a backup writes nothing to it. */
export function workerObjectsOf({ id }: Instance, task: WorkerTask): Manifest[] {
  const place = { instanceId: id, operationId: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f', round: 1 };
  const job: WorkerJob = {
    name: workerJobName(task, place),
    owner: id,
    operationId: place.operationId,
    task,
    image: 'odoo-fleet/worker',
    order: '{}',
    volume: task === 'verify' ? null : { claimName: namesOf(id).object, isInUse: true, isWritable: task !== 'backup' },
    memoryMib: 512,
    deadlineSeconds: 60,
  };
  const uid = 'aaaaaaaa-0000-4000-8000-000000000000';
  return [workerJob(job, settings), workerSecret(job, settings.namespace, uid)] as Manifest[];
}

export function initialisationJob({ id, image }: Instance): OdooJob {
  return { ...exampleJob, name: `odoo-${id}-init-abc234-1`, owner: id, image: image.reference };
}

export function templateJob({ image }: Instance): OdooJob {
  const digest = '0123456789abcdef';
  return {
    ...exampleJob,
    name: `odoo-template-${digest}-89abcdef`,
    owner: `template-${digest}`,
    image: image.reference,
  };
}

const exampleJob = {
  operationId: null,
  command: ['true'],
  odooConf: '[options]\n',
  environment: { PGSSLMODE: 'prefer' },
  memoryMib: 512,
  deadlineSeconds: 60,
} as const;
