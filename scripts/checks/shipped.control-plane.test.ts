import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { moduleFolder } from '#scripts/cluster/binaries.ts';
import { whyNoControlPlane } from '#scripts/cluster/control-plane.ts';
import { ensureGoPrograms } from '#shared/sandbox/go/go-programs.ts';
import { findProgram } from '#shared/sandbox/packages.ts';
import { builds } from './builds.ts';
import { noRights, wantedRights } from './cluster-rights.ts';
import { isKnown, knative, openShippedCluster, pathOf, type ShippedCluster } from './control-plane.fixture.ts';
import { grantedRights, sortedRights } from './granted-rights.fixture.ts';
import { buildManifests, identityOf, type Manifest, parseManifests } from './kustomize.ts';
import { refusedCalls } from './temptations.fixture.ts';

const run = promisify(execFile);
const obstacle = await whyNoControlPlane();
const why = obstacle === undefined ? '' : `: cannot be started here, ${obstacle}`;
const all = await builds(knative);
const dev = all.find(({ name }) => name === 'overlays/dev')?.objects ?? [];

// Continuous integration must not lose this tier without anybody noticing: there it fails.
describe.skipIf(obstacle !== undefined && !process.env['CI'])(`the manifests on the real API server${why}`, () => {
  let cluster: ShippedCluster;

  beforeAll(async () => {
    cluster = await openShippedCluster();
  });
  afterAll(() => cluster.close());

  it.each(all.map(({ name, objects }) => [name, objects] as const))(
    'are accepted with every field known, and the same again changes nothing: %s',
    async (_name, objects) => {
      for (const object of objects) if (object.kind === 'Job') await remove(object);
      const first = await cluster.apply(objects);
      expect(first.size).toBe(objects.filter(isKnown).length);
      expect(await cluster.apply(objects)).toEqual(first);
    },
  );

  // Knative's definitions of Trigger and ApiServerSource keep what they do not know: the schemas of `npm run check` find it.
  it.each(['NetworkPolicy', 'Broker', 'PingSource', 'Service'])(
    'are refused with a field that is misspelt: %s',
    async (kind) => {
      const object = dev.find((one) => one.kind === kind);
      await expect(cluster.apply([misspelt(object)])).rejects.toThrow(/misspelt: field not declared/);
    },
  );

  it('give each function the rights that its steps need, and no other in any of our namespaces', async () => {
    await cluster.apply(await buildManifests(join(knative, 'base')));
    for (const name of [...Object.keys(wantedRights), ...noRights]) {
      const rightsIn = (namespace: string) =>
        grantedRights((method, path, body) => cluster.send(method, path, { body, as: name }), namespace);
      expect([name, await rightsIn('odoo-tenants')]).toEqual([name, sortedRights(wantedRights[name] ?? {})]);
      expect([name, await rightsIn('odoo-fleet')]).toEqual([name, {}]);
      expect([name, await rightsIn('kube-system')]).toEqual([name, {}]);
    }
  });

  it.each(refusedCalls)('refuse %s to %s %s', async (as, method, path) => {
    const body = method === 'POST' ? { metadata: { name: 'x' } } : undefined;
    expect(await cluster.send(method, path, { as, body })).toMatchObject({ status: 403 });
  });

  /** A Job cannot be changed: whoever migrates to another version deletes the one before. */
  async function remove(job: Manifest): Promise<void> {
    await cluster.send('DELETE', `${pathOf(job)}?propagationPolicy=Background`);
    await expect.poll(async () => (await cluster.send('GET', pathOf(job))).status, { timeout: 15_000 }).toBe(404);
  }
});

function misspelt(object: Manifest | undefined): Manifest {
  const { spec } = object as unknown as { spec: object };
  return { ...object, spec: { ...spec, misspelt: true } } as unknown as Manifest;
}

const whole = [...all.map(({ name }) => name).filter((name) => !name.includes(' with ')), 'observability'];

describe.skipIf(obstacle !== undefined && !process.env['CI'])(`kubectl kustomize${why}`, () => {
  let kubectl: string;

  beforeAll(async () => {
    kubectl = (await findProgram('kubectl')) ?? (await buildKubectl());
  });

  it.each(whole)('builds the same objects as we do: %s', async (name) => {
    const { stdout } = await run(kubectl, ['kustomize', join(knative, name)], { maxBuffer: 10_000_000 });
    const byName = (objects: readonly Manifest[]) => new Map(objects.map((object) => [identityOf(object), object]));
    expect(byName(await buildManifests(join(knative, name)))).toEqual(byName(parseManifests(stdout, name)));
  });
});

/** It is part of the module that the API server is built from. */
async function buildKubectl(): Promise<string> {
  const { folder } = await ensureGoPrograms({
    module: moduleFolder('kubernetes'),
    versionOf: 'k8s.io/kubernetes',
    packages: ['k8s.io/kubernetes/cmd/kubectl'],
    cachedIn: 'kubectl',
  });
  return join(folder, 'kubectl');
}
