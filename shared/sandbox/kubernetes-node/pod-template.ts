import { createHash } from 'node:crypto';
import type { KubernetesObject } from '../kubernetes-client.ts';
import type { Pod, PodTemplate } from './objects.ts';

/** Kubernetes' alphabet for generated names: no vowels and no look-alikes. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
const randomLength = 5;
const maxNameLength = 63;

/** Labels a Deployment's pods with the template they were made from, as the ReplicaSet's label does. */
export const templateHashLabel = 'pod-template-hash';

/** The only node there is. */
const nodeName = 'process-node';

/** Equal templates have equal hashes, whatever the order of their fields. */
export function templateHash(template: PodTemplate): string {
  const digest = createHash('sha256').update(canonical(template)).digest();
  return [...digest.subarray(0, 10)].map(letter).join('');
}

/** `prefix-` and five random letters, cut at the front part so that the whole fits into 63 bytes. */
export function generatedName(prefix: string, randomBytes: Uint8Array): string {
  const suffix = [...randomBytes.subarray(0, randomLength)].map(letter).join('');
  return `${`${prefix}-`.slice(0, maxNameLength - randomLength)}${suffix}`;
}

export type Owner = KubernetesObject & { apiVersion: string; kind: string };

/** A pod of this template, owned by `owner` and already placed on the node: there is no scheduler. */
export function podFromTemplate(
  owner: Owner,
  template: PodTemplate,
  { name, labels }: { name: string; labels: Record<string, string> },
): Pod {
  const { apiVersion, kind, metadata } = owner;
  const annotations = template.metadata?.annotations;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
      labels: { ...template.metadata?.labels, ...labels },
      ...(annotations ? { annotations } : {}),
      ownerReferences: [
        {
          apiVersion,
          kind,
          name: metadata.name,
          uid: metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { ...template.spec, nodeName },
  };
}

function letter(byte: number): string {
  return alphabet[byte % alphabet.length] ?? '';
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join()}}`;
}
