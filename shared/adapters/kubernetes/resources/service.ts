import type { V1Service } from '@kubernetes/client-node';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooPorts } from '#shared/domain/instance/odoo-conf.ts';
import { labelKeys, labelsOf } from './labels.ts';

/** The instance's web pods under one name, `odoo-<id>`. */
export function service(instance: Instance, namespace: string): V1Service {
  const name = namesOf(instance.id).object;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, labels: labelsOf(instance.id) },
    spec: {
      selector: { [labelKeys.instance]: name, [labelKeys.component]: 'web' },
      ports: [
        { name: 'http', port: odooPorts.http, targetPort: odooPorts.http, protocol: 'TCP' },
        { name: 'websocket', port: odooPorts.websocket, targetPort: odooPorts.websocket, protocol: 'TCP' },
      ],
    },
  };
}
