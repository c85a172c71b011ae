import type { V1Job, V1Secret } from '@kubernetes/client-node';
import type { OdooJob } from '#shared/domain/instance/ports.ts';
import { annotationKeys, labelKeys, managedBy } from './labels.ts';
import { configurationKey, environmentOf, odooPodSpec } from './pod.ts';
import type { ClusterSettings } from './settings.ts';

/** A finished Job and its log stay for a day. */
const keptSeconds = 86_400;

function labelsOfJob(job: OdooJob): Record<string, string> {
  return {
    [labelKeys.name]: 'odoo',
    [labelKeys.managedBy]: managedBy,
    [labelKeys.instance]: `odoo-${job.owner}`,
    [labelKeys.owner]: job.owner,
    [labelKeys.component]: 'job',
  };
}

function annotationsOf(job: OdooJob): { annotations?: Record<string, string> } {
  return job.operationId === null ? {} : { annotations: { [annotationKeys.operation]: job.operationId } };
}

/**
 * One run of the Odoo image: `command` is the whole command line, in place of the image's entry point (the official one puts the database
 * password into its arguments).
 * It is tried once: a second try on what the first one left is for the operation to decide.
 */
export function odooJob(job: OdooJob, settings: ClusterSettings): V1Job {
  const labels = labelsOfJob(job);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: job.name, namespace: settings.namespace, labels, ...annotationsOf(job) },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: job.deadlineSeconds,
      ttlSecondsAfterFinished: keptSeconds,
      template: {
        metadata: { labels, ...annotationsOf(job) },
        spec: {
          ...odooPodSpec({
            settings,
            container: { image: job.image, command: [...job.command], env: environmentOf(job.environment) },
            resources: {
              requests: { cpu: '250m', memory: `${Math.ceil(job.memoryMib / 2)}Mi` },
              limits: { memory: `${job.memoryMib}Mi` },
            },
            configurationSecret: job.name,
            data: { emptyDir: {} },
          }),
          restartPolicy: 'Never',
        },
      },
    },
  };
}

/** The Job's odoo.conf. It belongs to the Job and is deleted with it. */
export function jobSecret(job: OdooJob, namespace: string, jobUid: string): V1Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: job.name,
      namespace,
      labels: labelsOfJob(job),
      ...annotationsOf(job),
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: job.name, uid: jobUid }],
    },
    type: 'Opaque',
    data: { [configurationKey]: Buffer.from(job.odooConf).toString('base64') },
  };
}
