import type { V1PersistentVolumeClaim } from '@kubernetes/client-node';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { labelsOf } from './labels.ts';
import { recordAnnotation, recordOf } from './record.ts';
import type { ClusterSettings } from './settings.ts';

/** Filestore and sessions. It may grow with the plan; Kubernetes refuses to shrink one. */
export function volumeClaim(instance: Instance, settings: ClusterSettings): V1PersistentVolumeClaim {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: namesOf(instance.id).object,
      namespace: settings.namespace,
      labels: labelsOf(instance.id),
      annotations: { [recordAnnotation]: recordOf(instance) },
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(settings.storageClassName ? { storageClassName: settings.storageClassName } : {}),
      resources: { requests: { storage: `${instance.plan.diskGib}Gi` } },
    },
  };
}
