import type { V1Secret } from '@kubernetes/client-node';
import { Failure } from '#shared/domain/failure.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { Credentials } from '#shared/domain/instance/ports.ts';
import { labelsOf } from './labels.ts';

/** Key in the Secret of each generated value. */
const keys = {
  databasePassword: 'database-password',
  adminPassword: 'admin-password',
  masterPassword: 'master-password',
} as const satisfies Record<keyof Credentials, string>;

const names = Object.keys(keys) as (keyof Credentials)[];

/** The only home of the generated passwords. Immutable: they are the values every other step has used. */
export function credentialsSecret(instanceId: string, namespace: string, credentials: Credentials): V1Secret {
  const encoded = names.map((name) => [keys[name], Buffer.from(credentials[name]).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: namesOf(instanceId).credentialsSecret, namespace, labels: labelsOf(instanceId) },
    type: 'Opaque',
    immutable: true,
    data: Object.fromEntries(encoded) as Record<string, string>,
  };
}

/** @throws Failure `misconfigured` when a value is missing. */
export function readCredentials(secret: V1Secret): Credentials {
  const read = (name: keyof Credentials) => {
    const value = secret.data?.[keys[name]];
    if (value) return Buffer.from(value, 'base64').toString();
    throw new Failure('misconfigured', `Secret ${secret.metadata?.name} lacks ${keys[name]}: restore it from a backup`);
  };
  return {
    databasePassword: read('databasePassword'),
    adminPassword: read('adminPassword'),
    masterPassword: read('masterPassword'),
  };
}
