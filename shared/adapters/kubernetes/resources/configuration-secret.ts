import { createHash } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import { namesOf } from '#shared/domain/instance/names.ts';
import { annotationKeys, labelsOf } from './labels.ts';
import { configurationKey } from './pod.ts';

/**
 * odoo.conf, which holds the database password: a Secret, and the only one a tenant's pod mounts. Its annotations tell what it was
 * written with, and for: who has no passwords can compare it with itself and with the row.
 */
export function configurationSecret(
  instanceId: string,
  namespace: string,
  { odooConf, formHash }: { odooConf: string; formHash: string },
): V1Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: namesOf(instanceId).configurationSecret,
      namespace,
      labels: labelsOf(instanceId),
      annotations: { [annotationKeys.configuration]: configurationHash(odooConf), [annotationKeys.form]: formHash },
    },
    type: 'Opaque',
    data: { [configurationKey]: Buffer.from(odooConf).toString('base64') },
  };
}

/** Stands for an odoo.conf, on its Secret and on the pods that have read it. The passwords in it are random and long. */
export function configurationHash(odooConf: string): string {
  return createHash('sha256').update(odooConf).digest('hex').slice(0, 32);
}

/** The same of a Secret's content; undefined when odoo.conf is not in it. */
export function configurationHashOf(data: Readonly<Record<string, string>> | undefined): string | undefined {
  const content = data?.[configurationKey];
  return content === undefined ? undefined : configurationHash(Buffer.from(content, 'base64').toString());
}
