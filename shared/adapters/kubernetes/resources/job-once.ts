import type { V1Job, V1PodSpec, V1Secret } from '@kubernetes/client-node';
import { namesOf } from '#shared/domain/instance/names.ts';
import { annotationKeys, labelKeys, managedBy } from './labels.ts';
import type { ClusterSettings } from './settings.ts';

/** A finished Job stays so long, for whoever wants to see its log. Its Secret holds keys. */
const keptSeconds = 3_600;

/** What every Job about backups says of itself. */
type Said = { name: string; owner: string; operationId: string };

function metadataOf({ owner, operationId }: Said, label: string) {
  const labels = {
    [labelKeys.name]: label,
    [labelKeys.managedBy]: managedBy,
    [labelKeys.instance]: namesOf(owner).object,
    [labelKeys.owner]: owner,
    [labelKeys.component]: 'job',
  };
  return { labels, annotations: { [annotationKeys.operation]: operationId } };
}

/** A Job that is tried once: whether there is another try is for the operation to decide. `label`: `app.kubernetes.io/name`. */
export function jobOnce(
  job: Said & { deadlineSeconds: number },
  settings: ClusterSettings,
  { label, pod }: { label: string; pod: V1PodSpec },
): V1Job {
  const metadata = metadataOf(job, label);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: job.name, namespace: settings.namespace, ...metadata },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: job.deadlineSeconds,
      ttlSecondsAfterFinished: keptSeconds,
      template: { metadata, spec: { ...pod, restartPolicy: 'Never' } },
    },
  };
}

/** The files of a Job. They belong to it and are deleted with it. */
export function secretOfJob(
  job: Said,
  { namespace, jobUid, label }: { namespace: string; jobUid: string; label: string },
  files: Readonly<Record<string, string>>,
): V1Secret {
  const encoded = Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')] as const);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: job.name,
      namespace,
      ...metadataOf(job, label),
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: job.name, uid: jobUid }],
    },
    type: 'Opaque',
    data: Object.fromEntries(encoded),
  };
}

/** A volume with one file of the Job's Secret. */
export function fileOfJob(secretName: string, { name, key }: { name: string; key: string }) {
  return { name, secret: { secretName, defaultMode: 0o440, items: [{ key, path: key }] } };
}
