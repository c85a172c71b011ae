import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, inject } from 'vitest';
import type {} from '#scripts/cluster/global-setup.ts';
import { type Kubectl, openKubectl } from '#scripts/cluster/kubectl.ts';
import { type ClusterClient, openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';

/** What the acceptance program noted of one request. */
export type Noted = {
  atMs: number;
  method: string;
  path: string;
  headers: Record<string, string | undefined>;
  body: string;
};

export type Answer = { status?: number; headers?: Record<string, string>; body?: string; error?: string };

export type TestNamespace = {
  name: string;
  image: string;
  kubectl: Kubectl;
  client: ClusterClient;
  /** Makes a request from a pod of the namespace. */
  fromPod(
    url: string,
    request?: { method?: string; headers?: Record<string, string>; body?: string; timeoutMs?: number },
  ): Promise<Answer>;
  /** What the pod was told so far. */
  noted(): Promise<Noted[]>;
  /** Posts an event to a Broker of the namespace, and returns the status. */
  emit(event: { type: string; id: string; broker?: string; [attribute: string]: string }): Promise<number | undefined>;
};

/** Where a pod or a Trigger finds the desk: the one pod that notes, answers as told and makes requests. */
export const desk = 'desk';

const given = inject('cluster');

/** Why the tests cannot run, for `describe.skipIf`; the run that must not lose them has failed before. */
export const obstacle: string | undefined = given.obstacle;

/** Is it the cluster of this machine, whose network is ours? */
export const isOwnCluster: boolean = given.obstacle === undefined && given.isOwn;

/** A title that says why the tests are skipped. */
export function titled(name: string): string {
  return withReason(name, obstacle);
}

/** As `titled`, for tests that need the cluster of this machine. */
export function titledOnOwn(name: string): string {
  return withReason(name, isOwnCluster ? undefined : (obstacle ?? 'it needs the cluster of this machine'));
}

function withReason(name: string, reason: string | undefined): string {
  return reason === undefined ? name : `${name} (skipped: ${reason})`;
}

/**
 * A namespace with a desk, for all tests of a `describe`; it goes when they are done. Its name is new: one with functions takes
 * half a minute to go, and what is put into it meanwhile vanishes.
 */
export function testNamespace(prefix: string): () => TestNamespace {
  const name = `${prefix}-${Date.now().toString(36)}`;
  let namespace: TestNamespace | undefined;
  beforeAll(async () => {
    namespace = await openNamespace(name);
  }, 180_000);
  afterAll(async () => {
    await namespace?.kubectl.run(['delete', 'namespace', name, '--wait=false']);
    await namespace?.client.close();
  });
  return () => {
    if (namespace === undefined) throw new Error('the namespace is not open');
    return namespace;
  };
}

async function openNamespace(name: string): Promise<TestNamespace> {
  if (given.obstacle !== undefined) throw new Error(given.obstacle);
  const { kubeconfig, programImage: image } = given;
  const kubectl = openKubectl({ program: given.kubectl, kubeconfig });
  const client = await openClusterClient(kubeconfig);
  await kubectl.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, ...deskObjects(name, image)]);
  await kubectl.rollout(name, [desk]);
  const proxy = `/api/v1/namespaces/${name}/services/http:${desk}:80/proxy`;
  // The Service learns of its pod a moment after the Deployment does.
  await until(`${name}/${desk}`, async () => (await client.request('GET', `${proxy}/records`)).status === 200, {
    limitMs: 30_000,
  });
  const fromPod: TestNamespace['fromPod'] = async (url, request = {}) => {
    const body = { method: 'GET', headers: {}, timeoutMs: 60_000, ...request, url };
    const send = () => client.request('POST', `${proxy}/relay`, { body });
    // The API server's proxy breaks a request now and then: who only reads asks again.
    const answer = await (body.method === 'GET' ? send().catch(send) : send());
    if (answer.status !== 200) throw new Error(`the desk answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body as Answer;
  };
  // The API server goes to the pod itself. From inside, an address that another Service had leads to that one's pod for
  // as long as kube-proxy has not written its rules anew.
  const itself = { timeoutMs: 5_000 };
  await until(
    `${name}/${desk} to reach itself by its name`,
    async () => (await fromPod(`http://${desk}.${name}.svc.cluster.local/`, itself)).status === 200,
    { limitMs: 60_000 },
  );
  return {
    name,
    image,
    kubectl,
    client,
    fromPod,
    async noted() {
      return JSON.parse(await kubectl.run(['get', '--raw', `${proxy}/records`])) as Noted[];
    },
    async emit({ type, id, broker = 'default', ...attributes }) {
      const all = { specversion: '1.0', source: '/acceptance', type, id, ...attributes };
      const headers = Object.fromEntries(Object.entries(all).map(([key, value]) => [`ce-${key}`, value]));
      const answer = await fromPod(`http://broker-ingress.knative-eventing.svc.cluster.local/${name}/${broker}`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: '{}',
      });
      return answer.status;
    },
  };
}

function deskObjects(namespace: string, image: string): object[] {
  const metadata = { name: desk, namespace };
  const labels = { app: desk };
  const container = {
    name: desk,
    image,
    readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
    resources: { requests: { cpu: '10m', memory: '32Mi' } },
  };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
  ];
}

/** Asks until there is something, and returns it. @throws Error that names `what`. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  options: { limitMs: number },
): Promise<T> {
  const deadline = Date.now() + options.limitMs;
  for (;;) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`not within ${options.limitMs / 1000} s: ${what}`);
    await pause(100);
  }
}

/** A subscriber, sink or dead letter sink: the desk at a path. */
export function deskAt(uri: string): object {
  return { ref: { apiVersion: 'v1', kind: 'Service', name: desk }, uri };
}

export async function waitForReady(namespace: TestNamespace, objects: readonly string[]): Promise<void> {
  const { kubectl, name } = namespace;
  const args = ['-n', name, 'wait', '--for=condition=Ready', ...objects, '--timeout=120s'];
  await kubectl.run(args, { timeoutMs: 130_000 });
}
