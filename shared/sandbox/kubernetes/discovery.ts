import type { JsonObject } from './json.ts';
import type { Resource } from './resources.ts';
import { apiVersionOf, resources } from './resources.ts';

const objectVerbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
const statusVerbs = ['get', 'patch', 'update'];

/** The version whose behaviour this server is held to. */
const version = { major: '1', minor: '34', gitVersion: 'v1.34.4-sandbox', platform: 'linux/amd64' };

/** What discovery says at this path, as text or as an object; undefined when the path is no discovery path. */
export function discover(path: string): JsonObject | string | undefined {
  if (path === '/readyz' || path === '/livez' || path === '/healthz') return 'ok';
  if (path === '/version') return version;
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
  if (path === '/apis') return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupNames().map(groupOf) };
  const [, root, group, groupVersion, ...more] = path.split('/');
  if (more.length > 0) return undefined;
  if (root === 'api' && group === 'v1' && groupVersion === undefined) return resourceList('v1');
  if (root !== 'apis' || !group || !groupNames().includes(group)) return undefined;
  return groupVersion === undefined
    ? { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(group) }
    : resourceList(`${group}/${groupVersion}`);
}

function groupNames(): string[] {
  return [...new Set(resources.map((it) => it.group))].filter((group) => group !== '');
}

function groupOf(name: string): JsonObject {
  const known = { groupVersion: `${name}/v1`, version: 'v1' };
  return { name, versions: [known], preferredVersion: known };
}

function resourceList(groupVersion: string): JsonObject | undefined {
  const known = resources.filter((it) => apiVersionOf(it) === groupVersion);
  if (known.length === 0) return undefined;
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: known.flatMap(describe) };
}

function describe(resource: Resource): JsonObject[] {
  const common = { singularName: resource.kind.toLowerCase(), namespaced: resource.isNamespaced, kind: resource.kind };
  const itself = { name: resource.plural, ...common, verbs: objectVerbs };
  return resource.hasStatus
    ? [itself, { name: `${resource.plural}/status`, ...common, singularName: '', verbs: statusVerbs }]
    : [itself];
}
