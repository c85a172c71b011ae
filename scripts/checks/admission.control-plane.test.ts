import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { whyNoControlPlane } from '#scripts/cluster/control-plane.ts';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { exampleRuntime } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import { clusterParts } from '#shared/domain/instance/ports.ts';
import { knative, openShippedCluster, pathOf, type ShippedCluster } from './control-plane.fixture.ts';
import { changed, large, objectOf, objects, replaced, small } from './example-objects.fixture.ts';
import type { Operation } from './json-patch.ts';
import { buildManifests, type Manifest } from './kustomize.ts';
import { byEither, everyRight, forbiddenCalls, forbiddenChanges, temptations } from './temptations.fixture.ts';
import { initialisationJob } from './tenant-objects.fixture.ts';

const obstacle = await whyNoControlPlane();
const why = obstacle === undefined ? '' : `: cannot be started here, ${obstacle}`;

// Continuous integration must not lose this tier without anybody noticing: there it fails.
describe.skipIf(obstacle !== undefined && !process.env['CI'])(`admission on the real API server${why}`, () => {
  let cluster: ShippedCluster;

  beforeAll(async () => {
    cluster = await openShippedCluster();
    await cluster.apply(await buildManifests(join(knative, 'base')));
    // Policies count some moments after they were made.
    const forbidden = changed(objectOf('Deployment'), [
      replaced('/spec/template/spec/automountServiceAccountToken', true),
    ]);
    await vi.waitFor(async () => expect(await create(forbidden)).toContain('no token'), { timeout: 30_000 });
  });
  afterAll(() => cluster.close());

  /** What the server says to a creation, `created` when it has nothing against it. Nothing is stored. */
  async function create(object: Manifest, as = 'provision'): Promise<string> {
    const path = `${pathOf(object, { isCollection: true })}?dryRun=All&fieldValidation=Strict`;
    const { status, body } = await cluster.send('POST', path, { body: object, as });
    return status === 201 ? 'created' : String(body['message']);
  }

  const builders = Object.entries(objects).flatMap(([what, list]) =>
    list.map((object) => [what, object.kind, object] as const),
  );
  it.each(builders)('lets provision create, for %s, its %s', async (_what, _kind, object) => {
    expect(await create(object)).toBe('created');
  });

  it('lets provision do its work with a token of its own, from the first object to the last', async () => {
    const kubeconfigFile = await cluster.kubeconfigOf('provision');
    const adapter = openTenantCluster({ kubeconfigFile, namespace: 'odoo-tenants', clientNamespaces: [] });
    const wanted = exampleRuntime();
    const fenced = (fence: number) => ({ instanceId: large.id, fence });
    await adapter.credentials.create(large, wanted.credentials, fenced(1));
    for (const part of clusterParts) await adapter.cluster.apply(large, part, wanted);
    const renamed = {
      ...large,
      host: `new-${large.host}`,
      restartedBy: 'somebody',
      plan: { ...large.plan, replicas: 3 },
    };
    for (const part of clusterParts) await adapter.cluster.apply(renamed, part, { ...wanted, fence: 6 });
    await adapter.jobs.start(initialisationJob(large));
    expect(await adapter.jobs.look(initialisationJob(large).name)).toEqual({ state: 'running' });
    await adapter.jobs.remove(initialisationJob(large).name);
    for (const part of clusterParts) await adapter.cluster.remove(large, part, fenced(7));
    await adapter.credentials.remove(large, fenced(7));
    await adapter.close();
  });

  it.each(temptations())('refuses %s', async (_what, object, message) => {
    expect(await create(object)).toMatch(message);
  });

  it.each(['suspension-page'])('keeps functions from changing or deleting the Deployment %s', async (name) => {
    const path = `/apis/apps/v1/namespaces/odoo-tenants/deployments/${name}?dryRun=All`;
    const body = {
      metadata: { labels: { 'app.kubernetes.io/managed-by': 'odoo-fleet', 'odoofleet.dev/instance': small.id } },
    };
    const contentType = 'application/merge-patch+json';
    const patched = await cluster.send('PATCH', path, { body, contentType, as: 'provision' });
    expect(String(patched.body['message'])).toMatch(byEither);
    const removed = await cluster.send('DELETE', path, { as: 'provision' });
    expect(String(removed.body['message'])).toContain('does not bear the labels');
  });

  it('refuses to change an object into what it might not have been made as', async () => {
    const deployment = objectOf('Deployment');
    expect((await cluster.send('POST', pathOf(deployment, { isCollection: true }), { body: deployment })).status).toBe(
      201,
    );
    for (const [body, message] of forbiddenChanges) {
      const contentType = 'application/merge-patch+json';
      const path = `${pathOf(deployment)}?dryRun=All`;
      const answer = await cluster.send('PATCH', path, { body, contentType, as: 'suspend' });
      expect(String(answer.body['message'])).toMatch(message);
    }
  });

  it('lets an instance be stopped whose image has left the list, and be given no other one that is off it', async () => {
    const [deployment] = objects['a large instance'].filter(({ kind }) => kind === 'Deployment');
    if (deployment === undefined) throw new Error('a large instance has a Deployment');
    const image = '/spec/template/spec/containers/0/image';
    const old = changed(deployment, [replaced(image, 'odoo:18')]);
    // as it was made while odoo:18 was listed
    expect((await cluster.send('POST', pathOf(old, { isCollection: true }), { body: old })).status).toBe(201);
    const change = async (operations: readonly Operation[]) =>
      await cluster.send('PATCH', `${pathOf(old)}?dryRun=All`, {
        body: operations,
        contentType: 'application/json-patch+json',
        as: 'suspend',
      });
    expect((await change([replaced('/spec/replicas', 0)])).status).toBe(200);
    expect(String((await change([replaced(image, 'odoo:17')])).body['message'])).toContain('odoo:17 is not in');
  });

  it('keeps functions from what they have no business with, even with every right', async () => {
    await cluster.apply([everyRight]);
    for (const [method, path, body] of forbiddenCalls) {
      await expect
        .poll(async () => String((await cluster.send(method, path, { body, as: 'repair' })).body['message']), {
          timeout: 15_000,
        })
        .toMatch(/functions have no business with|does not bear the labels/);
    }
  });

  it('leaves people and controllers alone, and is still there for functions without its parameter', async () => {
    const strange = changed(objectOf('Deployment', 'a suspended instance'), [
      replaced('/spec/template/spec/containers/0/image', 'busybox'),
    ]);
    const path = `${pathOf(strange, { isCollection: true })}?dryRun=All`;
    expect(await cluster.send('POST', path, { body: strange })).toMatchObject({ status: 201 });
    await cluster.send('DELETE', '/api/v1/namespaces/odoo-fleet/configmaps/tenant-images');
    await expect
      .poll(() => create(objectOf('Deployment', 'a large instance')), { timeout: 15_000 })
      .toContain('no params found');
  });
});
