import type { V1Secret } from '@kubernetes/client-node';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import type { Credentials, CredentialsStore } from '#shared/domain/instance/ports.ts';
import { findOurs, removeObject, type Target, type Wanted, writeQuery } from './apply.ts';
import type { Call, KubernetesApi } from './client.ts';
import { kinds, type Stored } from './kinds.ts';
import { credentialsSecret, readCredentials } from './resources/credentials-secret.ts';
import { annotationKeys, labelsOf } from './resources/labels.ts';

type Secret = Omit<V1Secret, 'metadata'> & Stored;

/** The credentials Secrets. Created once and never written again: what is there wins. */
export function credentialsStore(api: KubernetesApi, namespace: string): CredentialsStore {
  const placeOf = (instance: Instance): Target<Wanted> => ({
    kind: kinds.secret,
    wanted: {
      metadata: { name: namesOf(instance.id).credentialsSecret, namespace, labels: labelsOf(instance.id) },
    },
  });

  async function read(instance: Instance): Promise<Credentials | undefined> {
    const found = (await findOurs(api, placeOf(instance))) as Secret | undefined;
    return found === undefined ? undefined : readCredentials(found as V1Secret);
  }

  return {
    read,
    async create(instance, credentials, { fence }) {
      const secret = credentialsSecret(instance.id, namespace, credentials);
      const annotations = { [annotationKeys.fence]: String(fence) };
      const call: Call = {
        method: 'POST',
        kind: kinds.secret,
        namespace,
        query: writeQuery,
        body: { ...secret, metadata: { ...secret.metadata, annotations } },
      };
      const answer = await api.send<Secret>(call);
      if ('object' in answer) return credentials;
      const isThere = answer.refusal.reason === 'AlreadyExists';
      const found = isThere ? await read(instance) : undefined;
      if (found === undefined) throw api.failure(call, answer.refusal);
      return found;
    },
    async remove(instance, { fence }) {
      await removeObject(api, placeOf(instance), { fence });
    },
  };
}
