import type { ClusterResponse } from '#shared/sandbox/kubernetes/cluster-client.ts';

type Review = {
  incomplete: boolean;
  resourceRules: { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }[];
};

/**
 * Verbs by resource in a namespace, as the server's own authorizer tells whoever asks, less what every account may ask about
 * itself. @throws Error where the answer does not say everything.
 */
export async function grantedRights(
  send: (method: string, path: string, body: unknown) => Promise<Pick<ClusterResponse, 'body'>>,
  namespace: string,
): Promise<Record<string, string[]>> {
  const { body } = await send('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { spec: { namespace } });
  const { resourceRules, incomplete } = body['status'] as unknown as Review;
  if (incomplete) throw new Error(`the authorizer does not know all rights in ${namespace}`);
  const rights: Record<string, string[]> = {};
  for (const { apiGroups, resources, verbs, resourceNames = [] } of resourceRules) {
    if (/^(authorization|authentication)\.k8s\.io$/.test(apiGroups[0] ?? '')) continue;
    if (resourceNames.length > 0) throw new Error(`a right for single objects: ${resourceNames.join(', ')}`);
    for (const resource of resources) rights[resource] = [...(rights[resource] ?? []), ...verbs];
  }
  return sortedRights(rights);
}

export function sortedRights(rights: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(rights).map(([resource, verbs]) => [resource, verbs.toSorted()]));
}
