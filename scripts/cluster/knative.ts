import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { binding } from './addons.ts';
import type { ClusterBinaries } from './binaries.ts';
import { findKnativeSources, type KnativeSources, readKnative, withVariable } from './knative-manifests.ts';
import type { Kubectl } from './kubectl.ts';
import { addresses, domain, registry } from './places.ts';

type Installation = {
  kubectl: Kubectl;
  programs: ClusterBinaries;
  /** Image of our ingress. */
  ingressImage: string;
  say(line: string): void;
};

/** Raised when what is installed changes here. */
const settingsVersion = '1';

const servingNamespace = 'knative-serving';
const eventingNamespace = 'knative-eventing';

/** Installs Knative Serving with our ingress, and Knative Eventing with the in-memory channel. Safe to repeat. */
export async function installKnative(installation: Installation): Promise<void> {
  const { kubectl, say } = installation;
  const mark = markOf(installation);
  if (!(await isMarked(kubectl, mark))) {
    const sources = await findKnativeSources();
    await definitions(installation, sources);
    await serving(installation, sources);
    await eventing(installation, sources);
    await kubectl.apply([mark]);
  }
  await kubectl.rollout(servingNamespace, ['webhook', 'controller', 'autoscaler', 'activator', 'fleet-ingress']);
  say('Knative Serving is ready');
  const channel = ['imc-controller', 'imc-dispatcher'];
  const broker = ['mt-broker-controller', 'mt-broker-ingress', 'mt-broker-filter'];
  await kubectl.rollout(eventingNamespace, ['eventing-webhook', 'eventing-controller', ...channel, ...broker]);
  await waitForWebhooks(kubectl);
  say('Knative Eventing is ready');
}

type Mark = { apiVersion: string; kind: string; metadata: object; data: { installed: string } };

/** Says what was installed: to apply all of it again takes twenty seconds. */
function markOf({ programs, ingressImage }: Installation): Mark {
  const installed = [programs.serving, programs.eventing].map(({ version, key }) => `${version}-${key}`);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'fleet-cluster', namespace: 'kube-system' },
    data: { installed: [...installed, ingressImage, settingsVersion].join(' ') },
  };
}

async function isMarked(kubectl: Kubectl, mark: Mark): Promise<boolean> {
  const args = ['-n', 'kube-system', 'get', 'configmap', 'fleet-cluster', '--ignore-not-found'];
  return (await kubectl.run([...args, '-o', 'jsonpath={.data.installed}'])) === mark.data.installed;
}

async function definitions({ kubectl, programs }: Installation, sources: KnativeSources): Promise<void> {
  const { serving: s, networking: n, caching, eventing: e, inMemoryChannel } = sources;
  const inNetworking = ['ingress', 'certificate', 'domain-claim', 'serverlessservice'].map(
    (name) => `${n}/${name}.yaml`,
  );
  const namespaces = [`${s}/core/100-namespace.yaml`, `${e}/core/100-namespace.yaml`];
  await kubectl.apply(await readKnative(namespaces, programs));
  const paths = [`${s}/core/300-resources`, ...inNetworking, `${caching}/image.yaml`];
  const more = [`${e}/core/resources`, `${inMemoryChannel}/resources`];
  await kubectl.apply(await readKnative([...paths, ...more], programs));
  await kubectl.run(['wait', '--for=condition=Established', '--all', 'crd', '--timeout=60s'], { timeoutMs: 70_000 });
}

async function serving(installation: Installation, { serving: s, networking }: KnativeSources): Promise<void> {
  const { kubectl, programs } = installation;
  const core = (name: string) => join(s, 'core', name);
  const rights = ['200-serviceaccount.yaml', '300-knativecertificate.yaml', '200-roles', 'configmaps'].map(core);
  await kubectl.apply(await readKnative([...rights, join(networking, 'config-network.yaml')], programs));
  const configure = (name: string, data: Record<string, string>) =>
    kubectl.run(['-n', servingNamespace, 'patch', 'configmap', name, '--type=merge', '-p', JSON.stringify({ data })]);
  await configure('config-network', { 'ingress-class': 'fleet.ingress.networking.knative.dev' });
  await configure('config-domain', { [domain]: '' });
  // A tag that no registry knows must not be looked up.
  await configure('config-deployment', {
    'registries-skipping-tag-resolving': registry,
    'queue-sidecar-cpu-request': '10m',
  });
  // The least it allows: tests wait until a function is at zero.
  await configure('config-autoscaler', { 'stable-window': '6s', 'scale-to-zero-grace-period': '6s' });
  // What the manifests of a Knative Service may use beyond the plainest.
  await configure('config-features', {
    'kubernetes.podspec-securitycontext': 'enabled',
    'kubernetes.podspec-fieldref': 'enabled',
    'kubernetes.podspec-persistent-volume-claim': 'enabled',
    'kubernetes.podspec-persistent-volume-write': 'enabled',
    'kubernetes.podspec-volumes-emptydir': 'enabled',
  });
  const deployments = ['controller', 'autoscaler', 'activator', 'webhook'].map((name) =>
    core(`deployments/${name}.yaml`),
  );
  await kubectl.apply(await readKnative([...deployments, core('webhooks')], programs));
  await kubectl.apply(ingressObjects(installation.ingressImage));
}

async function eventing({ kubectl, programs }: Installation, sources: KnativeSources): Promise<void> {
  const { eventing: e, inMemoryChannel: m, broker: b, integrations } = sources;
  const core = join(e, 'core');
  const accounts = [...(await filesNamed(core, /^200-/)), ...(await filesNamed(m, /^200-/))];
  const images = await filesNamed(integrations, /-images\.yaml$/);
  const settings = [join(core, 'roles'), join(core, 'configmaps'), join(m, 'roles'), join(m, 'configmaps')];
  await kubectl.apply(await readKnative([...accounts, ...images, ...settings, join(b, 'roles')], programs));
  // With several threads, Triggers that are deleted together can leave dead subscribers in the channel: each thread
  // writes the whole list from its own old copy.
  const controller = await readKnative([join(core, 'deployments', 'controller.yaml')], programs);
  await kubectl.apply(withVariable(controller, 'K_THREADS_PER_CONTROLLER', '1'));
  // Not started: job-sink, request-reply, auth-proxy, and the horizontal autoscalers, which need a metrics server.
  const own = ['pingsource-mt-adapter', 'webhook'].map((name) => join(core, 'deployments', `${name}.yaml`));
  const ofBroker = ['controller', 'broker-filter', 'broker-ingress'].map((name) => `${b}/deployments/${name}.yaml`);
  const deployments = [...own, join(m, 'deployments'), ...ofBroker];
  await kubectl.apply(await readKnative([...deployments, join(core, 'webhooks'), join(m, 'webhooks')], programs));
}

async function filesNamed(folder: string, pattern: RegExp): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => pattern.test(name));
  return names.sort().map((name) => join(folder, name));
}

/** A Deployment that is ready can still refuse a request of the API server for a moment. */
async function waitForWebhooks(kubectl: Kubectl): Promise<void> {
  const broker = {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Broker',
    metadata: { name: 'probe', namespace: 'default' },
  };
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      await kubectl.run(['create', '--dry-run=server', '-f', '-'], { input: JSON.stringify(broker) });
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await pause(200);
  }
}

function ingressObjects(image: string): object[] {
  const name = 'fleet-ingress';
  const metadata = { name, namespace: servingNamespace };
  const labels = { app: name };
  const apiGroups = ['networking.internal.knative.dev'];
  const container = {
    name: 'ingress',
    image,
    imagePullPolicy: 'Never',
    ports: [{ containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/-/ready', port: 8080 }, periodSeconds: 1 },
    resources: { requests: { cpu: '10m', memory: '64Mi' } },
  };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name },
      rules: [
        { apiGroups, resources: ['ingresses'], verbs: ['get', 'list', 'watch'] },
        { apiGroups, resources: ['ingresses/status'], verbs: ['patch', 'update'] },
      ],
    },
    binding(name, name, { kind: 'ServiceAccount', ...metadata }),
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { serviceAccountName: name, containers: [container] } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: {
        clusterIP: addresses.ingress,
        selector: labels,
        ports: [{ name: 'http2', port: 80, targetPort: 8080 }],
      },
    },
  ];
}
