import type { V1Container, V1Job, V1Secret } from '@kubernetes/client-node';
import type { BootJob } from '#shared/domain/backup/job-ports.ts';
import { odooDataFolder } from '#shared/domain/instance/odoo-conf.ts';
import { fileOfJob, jobOnce, secretOfJob } from './job-once.ts';
import { bootLabel } from './labels.ts';
import {
  configurationFile,
  configurationFolder,
  configurationKey,
  environmentOf,
  restrictedContainer,
  restrictedPod,
} from './pod.ts';
import type { ClusterSettings } from './settings.ts';
import { orderFolder, orderKey, temporaryFolder } from './worker-job.ts';

/** What the two containers of the worker image need. */
const smallMib = 192;

/**
 * One start of Odoo on a restored database. The kubelet runs one after the other: the container that makes the database
 * harmless, to its end; Odoo as a sidecar, which serves nobody but this pod; the container that asks it, whose end is the
 * Job's. When the first one fails Odoo is never started.
 */
export function bootJob(job: BootJob, settings: ClusterSettings): V1Job {
  const pod = {
    ...restrictedPod(settings),
    terminationGracePeriodSeconds: 10,
    initContainers: [asker(job, settings, { name: 'prepare', words: ['prepare-boot'] }), odooBeside(job, settings)],
    containers: [asker(job, settings, { name: 'check', words: ['check-boot', '$(POD_IP)'] })],
    volumes: [
      fileOfJob(job.name, { name: 'order', key: orderKey }),
      fileOfJob(job.name, { name: 'configuration', key: configurationKey }),
      ...['data', 'temporary', 'worker'].map((name) => ({ name, emptyDir: {} })),
    ],
  };
  return jobOnce(job, settings, { label: bootLabel, pod });
}

const podAddress = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };

function asker(
  job: BootJob,
  settings: ClusterSettings,
  { name, words }: { name: string; words: readonly string[] },
): V1Container {
  return {
    name,
    image: job.workerImage,
    args: [`${orderFolder}/${orderKey}`, ...words],
    env: [podAddress, ...environmentOf({ TMPDIR: temporaryFolder })],
    ...restrictedContainer(settings),
    // Its last line says why it failed.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    resources: { requests: { cpu: '50m', memory: `${smallMib / 2}Mi` }, limits: { memory: `${smallMib}Mi` } },
    volumeMounts: [
      { name: 'order', mountPath: orderFolder, readOnly: true },
      { name: 'worker', mountPath: temporaryFolder },
    ],
  };
}

function odooBeside(job: BootJob, settings: ClusterSettings): V1Container {
  return {
    name: 'odoo',
    // https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    restartPolicy: 'Always',
    image: job.image,
    // In place of the image's entry point, which puts the database password into its arguments.
    command: [
      'odoo',
      `--config=${configurationFile}`,
      `--data-dir=${odooDataFolder}`,
      '--http-interface=$(POD_IP)',
      '--max-cron-threads=0',
    ],
    env: [podAddress, ...environmentOf(job.environment)],
    ...restrictedContainer(settings),
    resources: {
      requests: { cpu: '250m', memory: `${Math.ceil(job.memoryMib / 2)}Mi` },
      limits: { memory: `${job.memoryMib}Mi` },
    },
    volumeMounts: [
      { name: 'configuration', mountPath: configurationFolder, readOnly: true },
      { name: 'data', mountPath: odooDataFolder },
      { name: 'temporary', mountPath: '/tmp' },
    ],
  };
}

/** The order and odoo.conf, each mounted where it belongs. It belongs to the Job and is deleted with it. */
export function bootSecret(job: BootJob, namespace: string, jobUid: string): V1Secret {
  const files = { [orderKey]: job.order, [configurationKey]: job.odooConf };
  return secretOfJob(job, { namespace, jobUid, label: bootLabel }, files);
}
