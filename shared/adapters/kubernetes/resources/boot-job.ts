import type { V1Container, V1Job, V1Secret } from '@kubernetes/client-node';
import type { BootJob } from '#shared/domain/backup/job-ports.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooDataFolder } from '#shared/domain/instance/odoo-conf.ts';
import { annotationKeys, bootLabel, labelKeys, managedBy } from './labels.ts';
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

/** A finished Job stays so long, for whoever wants to see its log. */
const keptSeconds = 3_600;

/** What the two containers of the worker image need. */
const smallMib = 192;

function labelsOfBoot({ owner }: BootJob): Record<string, string> {
  return {
    [labelKeys.name]: bootLabel,
    [labelKeys.managedBy]: managedBy,
    [labelKeys.instance]: namesOf(owner).object,
    [labelKeys.owner]: owner,
    [labelKeys.component]: 'job',
  };
}

/**
 * One start of Odoo on a restored database. The kubelet runs one after the other: the container that makes the database
 * harmless, to its end; Odoo as a sidecar, which serves nobody but this pod; the container that asks it, whose end is the
 * Job's. When the first one fails Odoo is never started.
 */
export function bootJob(job: BootJob, settings: ClusterSettings): V1Job {
  const labels = labelsOfBoot(job);
  const annotations = { [annotationKeys.operation]: job.operationId };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: job.name, namespace: settings.namespace, labels, annotations },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: job.deadlineSeconds,
      ttlSecondsAfterFinished: keptSeconds,
      template: {
        metadata: { labels, annotations },
        spec: {
          ...restrictedPod(settings),
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 10,
          initContainers: [
            asker(job, settings, { name: 'prepare', words: ['prepare-boot'] }),
            odooBeside(job, settings),
          ],
          containers: [asker(job, settings, { name: 'check', words: ['check-boot', '$(POD_IP)'] })],
          volumes: [
            volumeOf(job.name, { name: 'order', key: orderKey }),
            volumeOf(job.name, { name: 'configuration', key: configurationKey }),
            ...['data', 'temporary', 'worker'].map((name) => ({ name, emptyDir: {} })),
          ],
        },
      },
    },
  };
}

const podAddress = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };

function volumeOf(secretName: string, { name, key }: { name: string; key: string }) {
  return { name, secret: { secretName, defaultMode: 0o440, items: [{ key, path: key }] } };
}

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
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: job.name,
      namespace,
      labels: labelsOfBoot(job),
      annotations: { [annotationKeys.operation]: job.operationId },
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: job.name, uid: jobUid }],
    },
    type: 'Opaque',
    data: { [orderKey]: encoded(job.order), [configurationKey]: encoded(job.odooConf) },
  };
}
