import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKubernetesApi } from '#shared/adapters/kubernetes/client.ts';
import { differencesOf } from '#shared/adapters/kubernetes/differences.ts';
import type { Stored } from '#shared/adapters/kubernetes/kinds.ts';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { exampleInstance, exampleRuntime } from '#shared/adapters/kubernetes/test-instance.fixture.ts';
import { kindOfPart, targetsOf } from '#shared/adapters/kubernetes/wanted-objects.ts';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { type ClusterPart, clusterParts } from '#shared/domain/instance/ports.ts';
import type { Cluster } from './tenant-cluster.ts';

/** What becomes of an instance's objects when the server fills them in and people change them by hand. */
export function clusterDriftContract(name: string, open: () => Promise<Cluster>): void {
  let server: Cluster;
  let adapter: ReturnType<typeof openTenantCluster>;
  let raw: ReturnType<typeof openKubernetesApi>;
  const wanted = exampleRuntime();
  const settingsOf = (namespace: string) => ({
    namespace,
    clientNamespaces: [{ 'kubernetes.io/metadata.name': 'ingress' }],
    ingressClassName: 'nginx',
    tlsSecretName: 'wildcard',
    serviceAccountName: 'default',
    imagePullSecretName: 'registry',
    mailRelay: { host: 'relay.example.com', port: 587 },
  });

  beforeAll(async () => {
    server = await open();
    adapter = openTenantCluster({ kubeconfigFile: server.kubeconfigFile, ...settingsOf(server.namespace) });
    raw = openKubernetesApi({ kubeconfigFile: server.kubeconfigFile });
  });

  afterAll(async () => {
    await adapter.close();
    await raw.close();
    await server.close();
  });

  const read = (part: ClusterPart, name: string) =>
    raw.read<Stored & { spec?: Record<string, unknown> }>(kindOfPart[part], server.namespace, name);

  /** A change as `kubectl edit` makes it. */
  async function edit(part: ClusterPart, objectName: string, body: object) {
    const answer = await raw.send({
      method: 'PATCH',
      kind: kindOfPart[part],
      namespace: server.namespace,
      name: objectName,
      query: { fieldManager: 'kubectl-edit' },
      contentType: 'application/merge-patch+json',
      body,
    });
    if ('refusal' in answer) throw new Error(JSON.stringify(answer.refusal));
  }

  const small = () => exampleInstance();
  const large = (): Instance => {
    const instance = exampleInstance();
    return {
      ...instance,
      restartedBy: wanted.operationId,
      plan: { ...instance.plan, workers: 2, replicas: 3, cpuMillis: 1500, memoryMib: 1025 },
    };
  };
  const suspended = (): Instance => ({ ...exampleInstance(), suspensions: ['abuse'] });

  describe(`objects on ${name}`, () => {
    it.each<[string, () => Instance]>([
      ['of one process', small],
      ['of several processes and replicas', large],
      ['of a suspended instance', suspended],
    ])('%s are what was wanted, whatever the server fills in', async (_what, make) => {
      const instance = make();
      for (const part of clusterParts) {
        await adapter.cluster.apply(instance, part, wanted);
        const targets = targetsOf(instance, part, { settings: settingsOf(server.namespace), wanted });
        expect(targets).not.toEqual([]);
        for (const { kind, wanted: object } of targets) {
          const found = await raw.read(kind, server.namespace, object.metadata?.name ?? '');
          expect(differencesOf(found, object), `${kind.kind}`).toEqual([]);
        }
        expect(await adapter.cluster.look(instance, part, wanted)).toBe('done');
      }
    });

    const container = (changes: object) => ({
      spec: {
        template: {
          spec: {
            containers: [
              {
                name: 'odoo',
                image: 'odoo:19',
                securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
                ...changes,
              },
            ],
          },
        },
      },
    });
    const label = 'app.kubernetes.io/managed-by';
    it.each<[string, ClusterPart, (instance: Instance) => object]>([
      ['scaled by hand', 'deployment', () => ({ spec: { replicas: 3 } })],
      ['given another image and nothing else', 'deployment', () => container({ image: 'odoo:18' })],
      ['given a variable more', 'deployment', () => container({ env: [{ name: 'EXTRA', value: '1' }] })],
      [
        'given a container more',
        'deployment',
        () => {
          const more = container({}).spec.template.spec.containers[0];
          return { spec: { template: { spec: { containers: [more, { ...more, name: 'other' }] } } } };
        },
      ],
      ['freed of its annotations', 'deployment', () => ({ spec: { template: { metadata: { annotations: null } } } })],
      ['pointed elsewhere', 'service', () => ({ spec: { selector: { canary: 'yes' } } })],
      ['given another port', 'service', () => ({ spec: { ports: [{ name: 'http', port: 80, protocol: 'TCP' }] } })],
      ['given another host', 'ingress', () => ({ spec: { tls: null, rules: [{ host: 'other.example.com' }] } })],
      ['opened', 'network-policy', () => ({ spec: { ingress: [{}], egress: [{}] } })],
      ['changed in its content', 'configuration', () => ({ data: { 'odoo.conf': 'eA==' } })],
      ['robbed of its content', 'configuration', () => ({ data: null })],
      [
        'given another label',
        'volume',
        (instance) => ({ metadata: { labels: { 'odoofleet.dev/shard': instance.name } } }),
      ],
    ])('%s are found so, and put right: %s', async (_what, part, change) => {
      const instance = exampleInstance();
      const objectName = part === 'configuration' ? `odoo-${instance.id}-configuration` : `odoo-${instance.id}`;
      await adapter.cluster.apply(instance, part, wanted);
      await edit(part, objectName, change(instance));
      expect(await adapter.cluster.look(instance, part, wanted)).toBe('missing');
      await adapter.cluster.apply(instance, part, wanted);
      expect(await adapter.cluster.look(instance, part, wanted)).toBe('done');
    });

    it('keep what others add where we say nothing', async () => {
      const instance = exampleInstance();
      const objectName = `odoo-${instance.id}`;
      await adapter.cluster.apply(instance, 'deployment', wanted);
      await edit('deployment', objectName, {
        metadata: { labels: { team: 'a' }, annotations: { note: 'by hand' } },
        spec: { progressDeadlineSeconds: 120, replicas: 2 },
      });
      await adapter.cluster.apply(instance, 'deployment', wanted);
      const found = await read('deployment', objectName);
      expect(found?.metadata?.labels).toMatchObject({ team: 'a', [label]: 'odoo-fleet' });
      expect(found?.metadata?.annotations).toMatchObject({ note: 'by hand' });
      expect(found?.spec).toMatchObject({ progressDeadlineSeconds: 120, replicas: 1 });
    });

    it('taken out of our hands by their label are somebody else’s from then on', async () => {
      const instance = exampleInstance();
      await adapter.cluster.apply(instance, 'service', wanted);
      await edit('service', `odoo-${instance.id}`, { metadata: { labels: { [label]: null } } });
      const refused = { code: 'foreign-object' };
      await expect(adapter.cluster.look(instance, 'service', wanted)).rejects.toMatchObject(refused);
      await expect(adapter.cluster.apply(instance, 'service', wanted)).rejects.toMatchObject(refused);
    });
  });

  describe(`an object that is as wanted already on ${name}`, () => {
    const fenceOn = async (instance: Instance) =>
      (await read('deployment', `odoo-${instance.id}`))?.metadata?.annotations?.['odoofleet.dev/fence'];
    const later = { ...wanted, operationId: '0199a000-0000-7000-8000-000000000002', fence: wanted.fence + 2 };

    it('is not written again by its operation, whichever lease it has', async () => {
      const instance = exampleInstance();
      await adapter.cluster.apply(instance, 'deployment', wanted);
      await adapter.cluster.apply(instance, 'deployment', { ...wanted, fence: wanted.fence + 1 });
      expect(await fenceOn(instance)).toBe('5');
    });

    it('is signed once by the next operation, and then refused to one between both that stood still', async () => {
      const suspended: Instance = { ...exampleInstance(), suspensions: ['abuse'] };
      const started: Instance = { ...suspended, suspensions: [] };
      await adapter.cluster.apply(suspended, 'deployment', wanted);
      expect(await adapter.cluster.look(suspended, 'deployment', later)).toBe('missing');
      await adapter.cluster.apply(suspended, 'deployment', later);
      expect(await adapter.cluster.look(suspended, 'deployment', later)).toBe('done');
      await adapter.cluster.apply(suspended, 'deployment', { ...later, fence: later.fence + 1 });
      expect(await fenceOn(suspended)).toBe('7');
      const between = { ...wanted, operationId: '0199a000-0000-7000-8000-000000000003', fence: wanted.fence + 1 };
      await expect(adapter.cluster.apply(started, 'deployment', between)).rejects.toMatchObject({ code: 'fenced' });
    });
  });
}
