import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { noRights, wantedRights } from '#scripts/checks/cluster-rights.ts';
import { pathOf } from '#scripts/checks/control-plane.fixture.ts';
import { changed, objectOf, objects, replaced } from '#scripts/checks/example-objects.fixture.ts';
import { grantedRights, sortedRights } from '#scripts/checks/granted-rights.fixture.ts';
import type { Manifest } from '#scripts/checks/kustomize.ts';
import { everyRight, forbiddenCalls, refusedCalls, temptations } from '#scripts/checks/temptations.fixture.ts';
import {
  type ClusterClient,
  type ClusterResponse,
  openClusterClient,
} from '#shared/sandbox/kubernetes/cluster-client.ts';
import { stringAt } from '#shared/sandbox/kubernetes/json.ts';
import { readKubeconfig, writeKubeconfig } from '#shared/sandbox/kubernetes/kubeconfig.ts';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import { type Pod, readyPods } from './pods.fixture.ts';

const functions = [...Object.keys(wantedRights), ...noRights];
const builders = Object.entries(objects).flatMap(([what, list]) =>
  list.map((object) => [what, object.kind, object] as const),
);

/** What the functions may do with their own tokens, and what somebody who took one over cannot. Creations are dry runs. */
export function accessTests(fleet: () => FleetUnderTest): void {
  const clients = new Map<string, ClusterClient>();

  beforeAll(async () => {
    for (const name of functions) clients.set(name, await clientOf(fleet(), name));
    const forbidden = changed(objectOf('Deployment'), [
      replaced('/spec/template/spec/automountServiceAccountToken', true),
    ]);
    // Policies count some moments after they were made.
    await until('the policies to count', async () => (await create(forbidden)).includes('no token'), {
      limitMs: 60_000,
    });
  }, 120_000);
  afterAll(() => Promise.all([...clients.values()].map((client) => client.close())));

  function send(as: string, method: string, path: string, body?: unknown): Promise<ClusterResponse> {
    const client = clients.get(as);
    if (client === undefined) throw new Error(`there is no function ${as}`);
    return client.request(method, path, { body });
  }

  /** What the server says to a creation by provision, `created` when it has nothing against it. */
  async function create(object: Manifest): Promise<string> {
    const path = `${pathOf(object, { isCollection: true })}?dryRun=All&fieldValidation=Strict`;
    const { status, body } = await send('provision', 'POST', path, object);
    return status === 201 ? 'created' : (stringAt(body, 'message') ?? '');
  }

  it.each(functions)('gives %s the rights that its steps need, and none elsewhere', async (name) => {
    const rightsIn = (namespace: string) =>
      grantedRights((method, path, body) => send(name, method, path, body), namespace);
    expect(await rightsIn('odoo-tenants')).toEqual(sortedRights(wantedRights[name] ?? {}));
    for (const namespace of ['odoo-fleet', 'default', 'kube-system', 'knative-serving', 'knative-eventing']) {
      expect([namespace, await rightsIn(namespace)]).toEqual([namespace, {}]);
    }
  });

  it('lets each function run as its own account, and gives those without rights no token', async () => {
    const text = await fleet().kubectl.run(['-n', 'odoo-fleet', 'get', 'deployments', '-o', 'json']);
    const { items } = JSON.parse(text) as { items: FunctionDeployment[] };
    const own = items.filter(({ metadata }) => metadata.labels['serving.knative.dev/service'] !== undefined);
    expect(new Set(own.map(({ metadata }) => metadata.labels['serving.knative.dev/service']))).toEqual(
      new Set(functions),
    );
    for (const { metadata, spec } of own) {
      const name = metadata.labels['serving.knative.dev/service'] ?? '';
      const { serviceAccountName, automountServiceAccountToken = true } = spec.template.spec;
      expect([name, serviceAccountName, automountServiceAccountToken]).toEqual([name, name, !noRights.includes(name)]);
    }
  });

  it.each(builders)('lets provision create, for %s, its %s', async (_what, _kind, object) => {
    expect(await create(object)).toBe('created');
  });

  it.each(temptations())('refuses %s', async (_what, object, message) => {
    expect(await create(object)).toMatch(message);
  });

  it.each(refusedCalls)('refuses %s to %s %s', async (as, method, path) => {
    const body = method === 'POST' ? { metadata: { name: 'x' } } : undefined;
    const { status } = await send(as, method, method === 'GET' ? path : `${path}?dryRun=All`, body);
    expect(status).toBe(403);
  });

  it('refuses a function to act in the name of somebody else', async () => {
    const headers = { 'impersonate-user': 'system:serviceaccount:odoo-fleet:purge' };
    const answer = await clients.get('provision')?.request('GET', '/api/v1/namespaces/odoo-tenants/pods', { headers });
    expect(answer?.status).toBe(403);
  });

  it('keeps a function from what it has no business with, even when somebody gave it every right by mistake', async () => {
    const { kubectl } = fleet();
    const [running] = await readyPods(fleet(), { namespace: 'odoo-tenants' });
    if (running === undefined) throw new Error('no pod runs in the namespace of the tenants');
    const exec = `/api/v1/namespaces/odoo-tenants/pods/${running.metadata.name}/exec?command=id&stdout=true`;
    await kubectl.apply([everyRight]);
    try {
      for (const [method, path, body] of [...forbiddenCalls, ['POST', exec, {}] as const]) {
        const refusal = async () => stringAt((await send('repair', method, path, body)).body, 'message') ?? '';
        // Rights count some moments after they were given.
        await until(
          `${method} ${path} to be refused by a policy`,
          async () => /functions have no business with|does not bear the labels/.test(await refusal()),
          { limitMs: 30_000 },
        );
      }
    } finally {
      const { name, namespace = '' } = everyRight.metadata;
      await kubectl.run(['-n', namespace, 'delete', 'rolebinding', name]);
    }
  });
}

type FunctionDeployment = {
  metadata: { labels: Record<string, string> };
  spec: { template: { spec: Pod['spec'] & { serviceAccountName?: string } } };
};

/** Calls the API server with a new token of the function's account, and with nothing else. */
async function clientOf({ cluster, kubectl, folder }: FleetUnderTest, name: string): Promise<ClusterClient> {
  const token = (await kubectl.run(['-n', 'odoo-fleet', 'create', 'token', name, '--duration=1h'])).trim();
  const { url, ca } = await readKubeconfig(cluster.kubeconfig);
  const file = join(folder, `${name}-${randomUUID()}.kubeconfig`);
  await writeKubeconfig(file, { url, caCertificate: ca ?? '', token });
  return await openClusterClient(file);
}
