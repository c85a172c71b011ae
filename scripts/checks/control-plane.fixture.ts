import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { startControlPlane } from '#scripts/cluster/control-plane.ts';
import { findKnativeSources } from '#scripts/cluster/knative-manifests.ts';
import {
  type ClusterClient,
  type ClusterResponse,
  openClusterClient,
} from '#shared/sandbox/kubernetes/cluster-client.ts';
import { isObject, type JsonObject, objectAt } from '#shared/sandbox/kubernetes/json.ts';
import { identityOf, type Manifest, parseManifests } from './kustomize.ts';

/** The folder of all manifests. */
export const knative = fileURLToPath(new URL('../../knative', import.meta.url));

/**
 * A real API server that knows the kinds of Knative, by its definitions, and has nothing of it running: no webhook looks at an object
 * and no controller takes it up. The kinds of brokers that are not Knative's own are left out.
 */
export type ShippedCluster = {
  kubeconfigFile: string;
  /** Sends as the administrator, or as a function's ServiceAccount by impersonation. */
  send(method: string, path: string, options?: Sending): Promise<ClusterResponse>;
  /** Applies on the server's side, unknown fields refused; returns what was stored. @throws Error with what the server said. */
  apply(objects: readonly Manifest[]): Promise<Map<string, JsonObject>>;
  /** A kubeconfig with a token of the function's ServiceAccount. */
  kubeconfigOf(functionName: string): Promise<string>;
  close(): Promise<void>;
};

type Sending = { body?: unknown; contentType?: string; as?: string };

export async function openShippedCluster(): Promise<ShippedCluster> {
  const folder = await mkdtemp(join(tmpdir(), 'shipped-cluster-'));
  const { kubeconfigFile, stop } = await startControlPlane({ folder });
  const client = await openClusterClient(kubeconfigFile);
  await defineKinds(client);
  const send: ShippedCluster['send'] = (method, path, { as, ...request } = {}) =>
    client.request(method, path, {
      ...request,
      ...(as === undefined ? {} : { headers: { 'impersonate-user': `system:serviceaccount:odoo-fleet:${as}` } }),
    });
  return {
    kubeconfigFile,
    send,
    apply: (objects) => applyAll(client, objects),
    async kubeconfigOf(functionName) {
      const path = `/api/v1/namespaces/odoo-fleet/serviceaccounts/${functionName}/token`;
      const { body } = await send('POST', path, { body: { spec: { expirationSeconds: 3600 } } });
      const token = (body['status'] as { token: string }).token;
      const file = join(folder, `${functionName}.kubeconfig`);
      const config = parse(await readFile(kubeconfigFile, 'utf8')) as { users: { user: object }[] };
      const users = config.users.map((user) => ({ ...user, user: { token } }));
      await writeFile(file, JSON.stringify({ ...config, users }), { mode: 0o600 });
      return file;
    },
    async close() {
      await client.close();
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** Can the kind be applied here? */
export function isKnown({ kind }: Pick<Manifest, 'kind'>): boolean {
  return kind !== 'RabbitmqBrokerConfig';
}

/** The definitions of the kinds we use, as Knative ships them. */
async function defineKinds(client: ClusterClient): Promise<void> {
  const { serving, eventing } = await findKnativeSources();
  const inEventing = ['broker', 'trigger', 'pingsource', 'apiserversource'].map(
    (name) => `${eventing}/core/resources/${name}.yaml`,
  );
  const inServing = ['service', 'domain-mapping'].map((name) => `${serving}/core/300-resources/${name}.yaml`);
  for (const file of [...inServing, ...inEventing]) {
    for (const definition of parseManifests(await readFile(file, 'utf8'), file)) await applyOne(client, definition);
  }
  for (const path of [
    'serving.knative.dev/v1/services',
    'serving.knative.dev/v1beta1/domainmappings',
    'sources.knative.dev/v1/apiserversources',
    'sources.knative.dev/v1/pingsources',
    'eventing.knative.dev/v1/triggers',
    'eventing.knative.dev/v1/brokers',
  ]) {
    await waitUntil(async () => (await client.request('GET', `/apis/${path}`)).status === 200, path);
  }
}

async function waitUntil(isDone: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await isDone())) {
    if (Date.now() > deadline) throw new Error(`gave up after 30 s: ${what}`);
    await pause(100);
  }
}

/** Where an object lies in the API; its collection, without a name. */
export function pathOf(object: Manifest, { isCollection = false } = {}): string {
  const { apiVersion, kind, metadata } = object;
  const lower = kind.toLowerCase();
  const plural = lower.endsWith('y') ? `${lower.slice(0, -1)}ies` : `${lower}${lower.endsWith('s') ? 'es' : 's'}`;
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const place = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
  return `${root}${place}/${plural}${isCollection ? '' : `/${metadata.name}`}`;
}

/** What was stored, by object. Namespaces come first, as with kubectl. */
async function applyAll(client: ClusterClient, objects: readonly Manifest[]): Promise<Map<string, JsonObject>> {
  const stored = new Map<string, JsonObject>();
  const sorted = objects.toSorted((a, b) => Number(b.kind === 'Namespace') - Number(a.kind === 'Namespace'));
  for (const object of sorted.filter(isKnown)) {
    const body = await applyOne(client, object);
    stored.set(identityOf(object), withoutControllers(body));
    if (object.kind === 'ResourceQuota') await fillQuota(client, body as unknown as Quota);
  }
  return stored;
}

async function applyOne(client: ClusterClient, object: Manifest): Promise<JsonObject> {
  const path = `${pathOf(object)}?fieldManager=test&fieldValidation=Strict&force=true`;
  const contentType = 'application/apply-patch+yaml';
  const { status, body } = await client.request('PATCH', path, { body: object, contentType });
  if (status >= 300) throw new Error(`${identityOf(object)}: ${status} ${String(body['message'])}`);
  return body;
}

/** An object without what controllers write to it. */
function withoutControllers({ status: _status, ...object }: JsonObject): JsonObject {
  const {
    resourceVersion: _version,
    managedFields: _fields,
    annotations,
    ...metadata
  } = objectAt(object, 'metadata') ?? {};
  const kept = Object.entries(isObject(annotations) ? annotations : {}).filter(
    ([name]) => !name.startsWith('deployment.'),
  );
  return { ...object, metadata: { ...metadata, annotations: Object.fromEntries(kept) } };
}

type Quota = Manifest & { spec: { hard: Record<string, string> }; status?: { hard?: object } };

/** The quota's controller does not run here, and nothing that is counted is let in before it has counted. */
async function fillQuota(client: ClusterClient, quota: Quota): Promise<void> {
  if (quota.status?.hard !== undefined) return;
  const { hard } = quota.spec;
  const used = Object.fromEntries(Object.keys(hard).map((name) => [name, '0']));
  const path = `${pathOf(quota)}/status`;
  await client.request('PUT', path, { body: { ...quota, status: { hard, used } } });
}
