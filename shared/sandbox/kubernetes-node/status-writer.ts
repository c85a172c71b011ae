import { isDeepStrictEqual } from 'node:util';
import { type KubernetesClient, type KubernetesObject, type Resource, refusalCode } from '../kubernetes-client.ts';

type WithStatus = KubernetesObject & { status?: unknown };

/**
 * Writes a status computed from the object's newest state; after a conflict it reads again and computes again.
 * Writes nothing if the status is the same already. `undefined` if the object is gone or another one has its name.
 */
export async function writeStatus<T extends WithStatus>(
  client: KubernetesClient,
  resource: Resource<T>,
  { object, compute }: { object: T; compute: (current: T) => T['status'] },
): Promise<T | undefined> {
  const { name, namespace = 'default', uid } = object.metadata;
  let current: T | undefined = object;
  while (current !== undefined && current.metadata.uid === uid) {
    const status = compute(current);
    if (isDeepStrictEqual(JSON.parse(JSON.stringify(status ?? {})), current.status ?? {})) return current;
    try {
      return await client.replaceStatus(resource, namespace, { ...current, status });
    } catch (error) {
      const code = refusalCode(error);
      if (code === 404) return undefined;
      if (code !== 409) throw error;
      current = await client.get(resource, namespace, name);
    }
  }
  return undefined;
}
