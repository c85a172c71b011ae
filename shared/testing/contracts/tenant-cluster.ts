import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKubernetesApi } from '#shared/adapters/kubernetes/client.ts';
import { type Kind, kinds, type Stored } from '#shared/adapters/kubernetes/kinds.ts';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { exampleInstance, exampleRuntime } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { clusterParts, type WantedRuntime } from '#shared/domain/instance/ports.ts';
import { credentialsContract } from './tenant-cluster-credentials.ts';
import { clusterJobsContract } from './tenant-cluster-jobs.ts';

export type Cluster = { kubeconfigFile: string; namespace: string; close(): Promise<void> };

/** What the Kubernetes adapter does on an API server, the sandbox's or the real one, that is in good health. */
export function tenantClusterContract(name: string, open: () => Promise<Cluster>): void {
  let server: Cluster;
  let namespace: string;
  let adapter: ReturnType<typeof openTenantCluster>;
  let raw: ReturnType<typeof openKubernetesApi>;

  beforeAll(async () => {
    server = await open();
    namespace = server.namespace;
    adapter = openTenantCluster({
      kubeconfigFile: server.kubeconfigFile,
      namespace,
      clientNamespaces: [{ 'kubernetes.io/metadata.name': 'ingress' }],
      ingressClassName: 'nginx',
      tlsSecretName: 'wildcard',
    });
    raw = openKubernetesApi({ kubeconfigFile: server.kubeconfigFile });
  });

  afterAll(async () => {
    await adapter.close();
    await raw.close();
    await server.close();
  });

  const read = (kind: Kind, name: string) =>
    raw.read<Stored & { spec?: Record<string, unknown> }>(kind, namespace, name);

  async function create(kind: Kind, body: object): Promise<void> {
    const answer = await raw.send({
      method: 'POST',
      kind,
      namespace,
      body: { ...body, apiVersion: kind.apiVersion, kind: kind.kind },
    });
    if ('refusal' in answer) throw new Error(JSON.stringify(answer.refusal));
  }

  async function applyAll(instance: Instance, wanted: WantedRuntime) {
    for (const part of clusterParts) await adapter.cluster.apply(instance, part, wanted);
  }

  async function looks(instance: Instance, wanted: WantedRuntime) {
    return await Promise.all(clusterParts.map((part) => adapter.cluster.look(instance, part, wanted)));
  }

  describe(`the parts of an instance on ${name}`, () => {
    it('are missing, then done, and writing them again changes nothing', async () => {
      const instance = exampleInstance();
      const wanted = exampleRuntime();
      expect(new Set(await looks(instance, wanted))).toEqual(new Set(['missing']));
      await applyAll(instance, wanted);
      expect(new Set(await looks(instance, wanted))).toEqual(new Set(['done']));
      const before = await read(kinds.service, `odoo-${instance.id}`);
      await applyAll(instance, wanted);
      const after = await read(kinds.service, `odoo-${instance.id}`);
      expect(after?.metadata?.resourceVersion).toBe(before?.metadata?.resourceVersion);
    });

    it('carry who wrote them and hold no secret outside of Secrets', async () => {
      const instance = exampleInstance();
      const wanted = exampleRuntime();
      await applyAll(instance, wanted);
      const deployment = await read(kinds.deployment, `odoo-${instance.id}`);
      expect(deployment?.metadata?.annotations).toMatchObject({
        'odoofleet.dev/operation': wanted.operationId,
        'odoofleet.dev/fence': '5',
      });
      const others = [kinds.deployment, kinds.service, kinds.ingress, kinds.networkPolicy, kinds.volumeClaim];
      for (const kind of others) {
        const text = JSON.stringify(await read(kind, `odoo-${instance.id}`));
        for (const secret of Object.values(wanted.credentials)) expect(text).not.toContain(secret);
      }
    });

    it('follow the row: a larger plan changes them, a cron Deployment comes and goes', async () => {
      const instance = exampleInstance();
      const wanted = exampleRuntime();
      await applyAll(instance, wanted);
      const grown = { ...instance, plan: { ...instance.plan, replicas: 2, workers: 2, memoryMib: 4096 } };
      expect(await adapter.cluster.look(grown, 'deployment', wanted)).toBe('missing');
      await applyAll(grown, wanted);
      expect(await read(kinds.deployment, `odoo-${instance.id}-cron`)).toBeDefined();
      expect((await read(kinds.deployment, `odoo-${instance.id}`))?.spec?.['replicas']).toBe(2);
      expect(await adapter.cluster.look(instance, 'deployment', wanted)).toBe('missing');
      await applyAll(instance, wanted);
      expect(await read(kinds.deployment, `odoo-${instance.id}-cron`)).toBeUndefined();
      expect(await adapter.cluster.look(instance, 'deployment', wanted)).toBe('done');
    });

    it('go when they are removed, and removing them again is harmless', async () => {
      const instance = exampleInstance();
      const wanted = exampleRuntime();
      await applyAll(instance, wanted);
      const fenced = { instanceId: instance.id, fence: wanted.fence };
      for (const part of [...clusterParts, ...clusterParts].reverse())
        await adapter.cluster.remove(instance, part, fenced);
      expect(new Set(await looks(instance, wanted))).toEqual(new Set(['missing']));
    });

    it('are gone only when nothing of them is left', async () => {
      const instance = { ...exampleInstance(), plan: { ...exampleInstance().plan, replicas: 2 } };
      const wanted = exampleRuntime();
      const fenced = { instanceId: instance.id, fence: wanted.fence };
      for (const part of clusterParts) {
        expect(await adapter.cluster.isGone(instance, part)).toBe(true);
        await adapter.cluster.apply(instance, part, wanted);
        expect(await adapter.cluster.isGone(instance, part)).toBe(false);
        await adapter.cluster.remove(instance, part, fenced);
        await expect.poll(() => adapter.cluster.isGone(instance, part), { timeout: 10_000 }).toBe(true);
      }
    });

    it('follow the row: hosts of the customer come and go, and the own one stays', async () => {
      const instance = exampleInstance();
      const wanted = exampleRuntime();
      await applyAll(instance, wanted);
      const name = `odoo-${instance.id}-domains`;
      const theirs = { ...instance, domains: [`${instance.id}.example.net`, `www.${instance.id}.example.net`] };
      expect(await adapter.cluster.look(theirs, 'ingress', wanted)).toBe('missing');
      await applyAll(theirs, wanted);
      expect(await adapter.cluster.look(theirs, 'ingress', wanted)).toBe('done');
      const spec = JSON.stringify((await read(kinds.ingress, name))?.spec);
      for (const host of theirs.domains) expect(spec).toContain(`"host":"${host}"`);
      expect(JSON.stringify((await read(kinds.ingress, `odoo-${instance.id}`))?.spec)).not.toContain('example.net');
      expect(await adapter.cluster.look(instance, 'ingress', wanted)).toBe('missing');
      await applyAll(instance, wanted);
      expect(await read(kinds.ingress, name)).toBeUndefined();
      expect(await adapter.cluster.look(instance, 'ingress', wanted)).toBe('done');
    });

    it('have no pods while the instance is suspended, and the host shows the suspension page', async () => {
      const instance = exampleInstance();
      const wanted = exampleRuntime();
      await applyAll(instance, wanted);
      const suspended: Instance = { ...instance, suspensions: ['billing'] };
      expect(await adapter.cluster.look(suspended, 'ingress', wanted)).toBe('missing');
      await applyAll(suspended, wanted);
      expect((await read(kinds.deployment, `odoo-${instance.id}`))?.spec?.['replicas']).toBe(0);
      const spec = JSON.stringify((await read(kinds.ingress, `odoo-${instance.id}`))?.spec);
      expect(spec).toContain('{"name":"suspension-page","port":{"name":"billing"}}');
      expect(spec).not.toContain('8069');
      await applyAll(instance, wanted);
      expect(JSON.stringify((await read(kinds.ingress, `odoo-${instance.id}`))?.spec)).not.toContain('billing');
    });

    it('take cron down alone while the instance stops, where the plan has it apart', async () => {
      const small = exampleInstance();
      const wanted = exampleRuntime();
      const large = { ...exampleInstance(), plan: { ...small.plan, replicas: 2 } };
      for (const instance of [small, large]) await adapter.cluster.apply(instance, 'deployment', wanted);
      expect(await adapter.cluster.lookScale(small, wanted, 'without-cron')).toBe('done');
      // The row says stopped before the operation begins.
      const stopping: Instance = { ...large, desiredState: 'stopped' };
      expect(await adapter.cluster.lookScale(stopping, wanted, 'without-cron')).toBe('missing');
      await adapter.cluster.applyScale(stopping, wanted, 'without-cron');
      expect(await adapter.cluster.lookScale(stopping, wanted, 'without-cron')).toBe('done');
      const replicas = async (name: string) => (await read(kinds.deployment, name))?.spec?.['replicas'];
      expect(await replicas(`odoo-${large.id}`)).toBe(2);
      expect(await replicas(`odoo-${large.id}-cron`)).toBe(0);
      const older = { ...wanted, fence: wanted.fence - 1 };
      await adapter.cluster.apply(large, 'deployment', wanted);
      await expect(adapter.cluster.applyScale(stopping, older, 'without-cron')).rejects.toMatchObject({
        code: 'fenced',
      });
    });

    it('have their pods counted, Jobs’ and others’ pods left out', async () => {
      const instance = exampleInstance();
      expect(await adapter.cluster.countPods(instance)).toBe(0);
      const pod = (owner: string, component: string) => ({
        metadata: {
          generateName: 'pod-',
          labels: { 'odoofleet.dev/instance': owner, 'app.kubernetes.io/component': component },
        },
        spec: restrictedPod,
      });
      await create(kinds.pod, pod(instance.id, 'web'));
      await create(kinds.pod, pod(instance.id, 'cron'));
      await create(kinds.pod, pod(instance.id, 'job'));
      await create(kinds.pod, pod('another22222', 'web'));
      expect(await adapter.cluster.countPods(instance)).toBe(2);
    });

    it('are left alone when somebody else has the name', async () => {
      const instance = exampleInstance();
      const name = `odoo-${instance.id}`;
      const foreign = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, labels: { app: 'mine' } },
        spec: { ports: [{ port: 1 }] },
      };
      await create(kinds.service, foreign);
      const refused = { code: 'foreign-object' };
      await expect(adapter.cluster.look(instance, 'service', exampleRuntime())).rejects.toMatchObject(refused);
      await expect(adapter.cluster.apply(instance, 'service', exampleRuntime())).rejects.toMatchObject(refused);
      await expect(
        adapter.cluster.remove(instance, 'service', { instanceId: instance.id, fence: 9 }),
      ).rejects.toMatchObject(refused);
      await expect(adapter.cluster.isGone(instance, 'service')).rejects.toMatchObject(refused);
      expect((await read(kinds.service, name))?.metadata?.labels).toEqual({ app: 'mine' });
    });

    it('are left alone when they carry our label and another instance’s id', async () => {
      const instance = exampleInstance();
      const labels = { 'app.kubernetes.io/managed-by': 'odoo-fleet', 'odoofleet.dev/instance': 'another22222' };
      const name = `odoo-${instance.id}`;
      await create(kinds.service, { metadata: { name, labels }, spec: { ports: [{ port: 1 }] } });
      await expect(adapter.cluster.apply(instance, 'service', exampleRuntime())).rejects.toMatchObject({
        code: 'foreign-object',
      });
    });
  });

  describe(`two holders of one instance on ${name}`, () => {
    it('the older one neither changes nor deletes what the newer one wrote', async () => {
      const instance = exampleInstance();
      await adapter.cluster.apply(instance, 'deployment', exampleRuntime({ fence: 7 }));
      const changed = { ...instance, plan: { ...instance.plan, memoryMib: 4096 } };
      const fenced = { code: 'fenced' };
      await expect(adapter.cluster.apply(changed, 'deployment', exampleRuntime({ fence: 6 }))).rejects.toMatchObject(
        fenced,
      );
      await expect(
        adapter.cluster.remove(instance, 'deployment', { instanceId: instance.id, fence: 6 }),
      ).rejects.toMatchObject(fenced);
      expect(await adapter.cluster.look(instance, 'deployment', exampleRuntime({ fence: 7 }))).toBe('done');
    });

    it('both creating at once leave one object that is as wanted', async () => {
      const instance = exampleInstance();
      const all = Array.from({ length: 5 }, () => adapter.cluster.apply(instance, 'service', exampleRuntime()));
      await Promise.all(all);
      expect(await adapter.cluster.look(instance, 'service', exampleRuntime())).toBe('done');
    });
  });

  describe(`connections to ${name}`, () => {
    it('are kept: a hundred calls one after the other need one or two', async () => {
      const fresh = openTenantCluster({ kubeconfigFile: server.kubeconfigFile, namespace, clientNamespaces: [] });
      for (let count = 0; count < 100; count += 1) await fresh.credentials.read(exampleInstance());
      expect(fresh.stats()).toMatchObject({ calls: 100, retries: 0 });
      expect(fresh.stats().connections).toBeLessThanOrEqual(2);
      await fresh.close();
    });
  });

  credentialsContract(name, () => ({ adapter, create }));
  clusterJobsContract(name, () => ({ jobs: adapter.jobs, workers: adapter.workers, read, create }));
}

/** A pod that a namespace with Pod Security's restricted profile lets in. */
const restrictedPod = {
  securityContext: { runAsNonRoot: true, runAsUser: 101, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      name: 'odoo',
      image: 'odoo:19',
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  ],
};
