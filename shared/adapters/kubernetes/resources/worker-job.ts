import type { V1Job, V1PodSpec, V1Secret } from '@kubernetes/client-node';
import type { WorkerJob } from '#shared/domain/backup/job-ports.ts';
import { odooDataFolder } from '#shared/domain/instance/odoo-conf.ts';
import { sameNodeAs } from './deployment.ts';
import { fileOfJob, jobOnce, secretOfJob } from './job-once.ts';
import { environmentOf, restrictedContainer, restrictedPod } from './pod.ts';
import type { ClusterSettings } from './settings.ts';

/** The key of the order in the Job's Secret, and the folder it is mounted in. */
export const orderKey = 'order.json';
export const orderFolder = '/etc/fleet';

/** The only folder it may write to. */
export const temporaryFolder = '/var/run/worker';

/** `app.kubernetes.io/name` of workers: what their NetworkPolicy selects. */
export const workerLabel = 'odoo-fleet-worker';

/**
 * One run of the worker image; its entry point takes the order's file as its one argument. It has no token and no
 * credentials of the platform: all it may do is in its order. It is tried once: whether there is another try is for the
 * operation to decide, which gives that one a place of its own in the object store.
 */
export function workerJob(job: WorkerJob, settings: ClusterSettings): V1Job {
  const pod = {
    ...workerPodSpec(job, settings),
    ...(job.volume?.isInUse ? { affinity: sameNodeAs(job.owner) } : {}),
  };
  return jobOnce(job, settings, { label: workerLabel, pod });
}

function workerPodSpec(job: WorkerJob, settings: ClusterSettings): V1PodSpec {
  const { volume } = job;
  return {
    ...restrictedPod(settings),
    containers: [
      {
        name: 'worker',
        image: job.image,
        args: [`${orderFolder}/${orderKey}`],
        env: environmentOf({ TMPDIR: temporaryFolder }),
        ...restrictedContainer(settings),
        // Its last line says why it failed.
        terminationMessagePolicy: 'FallbackToLogsOnError',
        resources: {
          requests: { cpu: '250m', memory: `${Math.ceil(job.memoryMib / 2)}Mi` },
          limits: { memory: `${job.memoryMib}Mi` },
        },
        volumeMounts: [
          { name: 'order', mountPath: orderFolder, readOnly: true },
          ...(volume === null
            ? []
            : [{ name: 'data', mountPath: odooDataFolder, readOnly: volume.isWritable !== true }]),
          { name: 'temporary', mountPath: temporaryFolder },
        ],
      },
    ],
    volumes: [
      fileOfJob(job.name, { name: 'order', key: orderKey }),
      ...(volume === null ? [] : [{ name: 'data', persistentVolumeClaim: { claimName: volume.claimName } }]),
      { name: 'temporary', emptyDir: {} },
    ],
  };
}

/** The Job's order. It belongs to the Job and is deleted with it. */
export function workerSecret(job: WorkerJob, namespace: string, jobUid: string): V1Secret {
  return secretOfJob(job, { namespace, jobUid, label: workerLabel }, { [orderKey]: job.order });
}
