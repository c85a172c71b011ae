import type { V1Secret } from '@kubernetes/client-node';
import { namesOf } from '#shared/domain/instance/names.ts';
import { labelsOf } from './labels.ts';
import { configurationKey } from './pod.ts';

/** odoo.conf, which holds the database password: a Secret, and the only one a tenant's pod mounts. */
export function configurationSecret(instanceId: string, namespace: string, odooConf: string): V1Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: namesOf(instanceId).configurationSecret, namespace, labels: labelsOf(instanceId) },
    type: 'Opaque',
    data: { [configurationKey]: Buffer.from(odooConf).toString('base64') },
  };
}
