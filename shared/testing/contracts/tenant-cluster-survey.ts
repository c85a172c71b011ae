import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKubernetesApi } from '#shared/adapters/kubernetes/client.ts';
import { type Kind, kinds } from '#shared/adapters/kubernetes/kinds.ts';
import { listObjects } from '#shared/adapters/kubernetes/list.ts';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { exampleInstance, exampleRuntime } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import type { Drift } from '#shared/domain/drift/ports.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { clusterParts } from '#shared/domain/instance/ports.ts';
import type { Cluster } from './tenant-cluster.ts';

/** What a survey of a shard tells of its instances. */
export function clusterSurveyContract(name: string, open: () => Promise<Cluster>): void {
  let server: Cluster;
  let adapter: ReturnType<typeof openTenantCluster>;
  let raw: ReturnType<typeof openKubernetesApi>;
  const wanted = exampleRuntime();
  const fenced = (instance: Instance) => ({ instanceId: instance.id, fence: wanted.fence });

  beforeAll(async () => {
    server = await open();
    const { kubeconfigFile, namespace } = server;
    adapter = openTenantCluster({ kubeconfigFile, namespace, clientNamespaces: [] });
    raw = openKubernetesApi({ kubeconfigFile });
  });

  afterAll(async () => {
    await adapter.close();
    await raw.close();
    await server.close();
  });

  async function make(changes: Partial<Instance> = {}): Promise<Instance> {
    const instance = { ...exampleInstance(), ...changes };
    await adapter.credentials.create(instance, wanted.credentials, fenced(instance));
    for (const part of clusterParts) await adapter.cluster.apply(instance, part, wanted);
    return instance;
  }

  const driftOf = async (instance: Instance): Promise<readonly Drift[]> =>
    (await adapter.survey(instance.id.slice(0, 1))).driftOf(instance);

  async function send(method: 'POST' | 'PATCH' | 'DELETE', kind: Kind, objectName: string, body: object) {
    const answer = await raw.send({
      method,
      kind,
      namespace: server.namespace,
      ...(method === 'POST' ? {} : { name: objectName }),
      ...(method === 'PATCH' ? { contentType: 'application/merge-patch+json' } : {}),
      ...(method === 'DELETE' ? {} : { body }),
    });
    if ('refusal' in answer) throw new Error(JSON.stringify(answer.refusal));
  }

  describe(`a survey of ${name}`, () => {
    it.each<[string, Partial<Instance>]>([
      ['runs', {}],
      ['is stopped', { desiredState: 'stopped' }],
      ['is suspended', { suspensions: ['abuse'] }],
      ['was restarted', { restartedBy: wanted.operationId }],
      ['has a host of its customer', { domains: ['shop.acme.example.net'] }],
      ['has several replicas', { plan: { ...exampleInstance().plan, replicas: 2, workers: 2 } }],
    ])('finds nothing amiss with an instance that %s as its record wants it', async (_what, changes) => {
      expect(await driftOf(await make(changes))).toEqual([]);
    });

    const plan = exampleInstance().plan;
    it.each<[string, Drift['kind'][], (instance: Instance) => Instance]>([
      ['stopped', ['replicas-wrong'], (instance) => ({ ...instance, desiredState: 'stopped' })],
      ['suspended', ['ingress-changed', 'replicas-wrong'], (instance) => ({ ...instance, suspensions: ['billing'] })],
      [
        'on another image',
        ['image-wrong'],
        (instance) => ({ ...instance, image: { ...instance.image, reference: 'odoo:20' } }),
      ],
      [
        'under a host of its customer',
        ['ingress-missing'],
        (instance) => ({ ...instance, domains: ['acme.example.net'] }),
      ],
      ['under another host', ['ingress-changed'], (instance) => ({ ...instance, host: 'other.example.com' })],
      [
        'with other settings',
        // the record beside the data tells of them, too
        ['configuration-changed', 'volume-changed'],
        (instance) => ({ ...instance, settings: { reportgz: true } }),
      ],
      [
        'with another processor',
        ['resources-wrong'],
        (instance) => ({ ...instance, plan: { ...plan, cpuMillis: 2000 } }),
      ],
      ['with a larger disk', ['volume-changed'], (instance) => ({ ...instance, plan: { ...plan, diskGib: 50 } })],
      ['with a smaller disk', ['volume-oversized'], (instance) => ({ ...instance, plan: { ...plan, diskGib: 1 } })],
      ['terminated', ['still-in-cluster'], (instance) => ({ ...instance, desiredState: 'terminated' })],
    ])('finds that the record wants it %s', async (_what, expected, change) => {
      const instance = await make();
      expect((await driftOf(change(instance))).map(({ kind }) => kind).sort()).toEqual(expected);
    });

    it('finds that a host of the customer is no longer wanted, and that it is left over', async () => {
      const instance = await make({ domains: ['acme.example.net'] });
      const name = `odoo-${instance.id}-domains`;
      expect(await driftOf({ ...instance, domains: [] })).toEqual([
        { kind: 'ingress-changed', detail: `${name}: the record has no such host` },
      ]);
      const [left] = await driftOf({ ...instance, desiredState: 'terminated' });
      expect(left).toMatchObject({ kind: 'still-in-cluster', detail: expect.stringContaining(`Ingress ${name}`) });
    });

    it.each<[string, Kind, Drift['kind']]>([
      ['Deployment', kinds.deployment, 'deployment-missing'],
      ['Service', kinds.service, 'service-missing'],
      ['Ingress', kinds.ingress, 'ingress-missing'],
      ['NetworkPolicy', kinds.networkPolicy, 'network-policy-missing'],
    ])('finds that a %s is gone', async (_what, kind, expected) => {
      const instance = await make();
      await send('DELETE', kind, `odoo-${instance.id}`, {});
      await expect
        .poll(() => driftOf(instance), { timeout: 15_000 })
        .toEqual([{ kind: expected, detail: `odoo-${instance.id}` }]);
    });

    it('finds that Secrets are gone, and tells the two apart', async () => {
      const instance = await make();
      await send('DELETE', kinds.secret, `odoo-${instance.id}-credentials`, {});
      expect((await driftOf(instance)).map(({ kind }) => kind)).toEqual(['credentials-missing']);
      await send('DELETE', kinds.secret, `odoo-${instance.id}-configuration`, {});
      expect((await driftOf(instance)).map(({ kind }) => kind)).toEqual([
        'credentials-missing',
        'configuration-missing',
      ]);
    });

    it('finds a configuration that was changed by hand without knowing what is right, and tells nothing of it', async () => {
      const instance = await make();
      const data = { 'odoo.conf': Buffer.from('db_password = stolen').toString('base64') };
      await send('PATCH', kinds.secret, `odoo-${instance.id}-configuration`, { data });
      const survey = await adapter.survey(instance.id.slice(0, 1));
      expect(survey.driftOf(instance)).toEqual([
        { kind: 'configuration-changed', detail: `odoo-${instance.id}-configuration: data` },
      ]);
    });

    it('finds what was changed by hand, and a repair puts right what it found', async () => {
      const instance = await make();
      await send('PATCH', kinds.deployment, `odoo-${instance.id}`, { spec: { replicas: 4 } });
      await send('PATCH', kinds.service, `odoo-${instance.id}`, { spec: { selector: { canary: 'yes' } } });
      await send('PATCH', kinds.networkPolicy, `odoo-${instance.id}`, { spec: { egress: [{}] } });
      expect((await driftOf(instance)).map(({ kind, detail }) => `${kind} ${detail.split(': ')[1]}`).sort()).toEqual([
        'network-policy-changed spec.egress',
        'replicas-wrong spec.replicas',
        'service-changed spec.selector.canary',
      ]);
      for (const part of clusterParts) await adapter.cluster.apply(instance, part, wanted);
      expect(await driftOf(instance)).toEqual([]);
    });

    it('finds another Ingress for the same host', async () => {
      const instance = await make();
      const metadata = { name: `theirs-${instance.id}` };
      const defaultBackend = { service: { name: 'theirs', port: { number: 80 } } };
      const spec = { defaultBackend, rules: [{ host: instance.host }] };
      await send('POST', kinds.ingress, metadata.name, {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata,
        spec,
      });
      expect(await driftOf(instance)).toEqual([
        { kind: 'host-clash', detail: `${instance.host} is also in Ingress ${metadata.name}` },
      ]);
    });

    it('finds nothing amiss with a terminated instance that has its data only', async () => {
      const instance = await make();
      for (const part of clusterParts) {
        if (part !== 'volume') await adapter.cluster.remove(instance, part, fenced(instance));
      }
      const drift = () => driftOf({ ...instance, desiredState: 'terminated' });
      await expect.poll(drift, { timeout: 15_000 }).toEqual([]);
    });

    it('tells what belongs to no known instance', async () => {
      const [known, unknown] = [await make(), await make()];
      const survey = await adapter.survey(unknown.id.slice(0, 1));
      const orphans = survey.orphans(new Set([known.id])).filter(({ instanceId }) => instanceId === unknown.id);
      expect(orphans.map((orphan) => orphan.name).sort()).toEqual([
        `Deployment odoo-${unknown.id}`,
        `Ingress odoo-${unknown.id}`,
        `NetworkPolicy odoo-${unknown.id}`,
        `PersistentVolumeClaim odoo-${unknown.id}`,
        `Secret odoo-${unknown.id}-configuration`,
        `Secret odoo-${unknown.id}-credentials`,
        `Service odoo-${unknown.id}`,
      ]);
      expect((await adapter.survey(known.id.slice(0, 1))).orphans(new Set([known.id, unknown.id]))).not.toContainEqual(
        expect.objectContaining({ instanceId: known.id }),
      );
    });

    it('takes a call per page and none per instance', async () => {
      const before = adapter.stats().calls;
      await adapter.survey('a');
      expect(adapter.stats().calls - before).toBe(7);
    });
  });

  describe(`a list of ${name}`, () => {
    it('comes page by page, each object once', async () => {
      const label = exampleInstance().id;
      const names = Array.from({ length: 7 }, (_, index) => `page-${label}-${index}`);
      for (const one of names) {
        const metadata = { name: one, labels: { page: label } };
        await send('POST', kinds.secret, one, { apiVersion: 'v1', kind: 'Secret', metadata });
      }
      const before = raw.stats().calls;
      const found: string[] = [];
      const options = { namespace: server.namespace, labelSelector: `page=${label}`, pageSize: 3 };
      for await (const { metadata } of listObjects(raw, kinds.secret, options)) found.push(metadata?.name ?? '');
      expect(found).toEqual(names);
      expect(raw.stats().calls - before).toBe(3);
    });
  });
}
