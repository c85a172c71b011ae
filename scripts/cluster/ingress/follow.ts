import { setTimeout as pause } from 'node:timers/promises';
import type { Api } from './api.ts';
import type { Rule, Table } from './table.ts';

const group = '/apis/networking.internal.knative.dev/v1alpha1';

/** Ingress objects of this class are ours (`ingress-class` in Knative's config-network). */
export const ingressClass = 'fleet.ingress.networking.knative.dev';

type Ingress = {
  metadata: { name: string; namespace: string; generation: number; annotations?: Record<string, string> };
  spec: { rules?: Rule[] };
  status?: { observedGeneration?: number; conditions?: { type: string; status: string }[] };
};

type Following = { api: Api; table: Table; address: string; signal: AbortSignal };

/** Keeps the table as the Ingress objects say, and tells Knative that they are ready. Lists again after each broken watch. */
export async function followIngresses(following: Following): Promise<void> {
  while (!following.signal.aborted) {
    await follow(following).catch((error: Error) => console.error(error.message));
    await pause(200);
  }
}

async function follow({ api, table, address, signal }: Following): Promise<void> {
  const list = (await api.get(`${group}/ingresses`)) as { metadata: { resourceVersion: string }; items: Ingress[] };
  const present = new Set(list.items.map(keyOf));
  for (const key of table.keys()) if (!present.has(key)) table.remove(key);
  for (const ingress of list.items) await take(ingress);
  const path = `${group}/ingresses?watch=1&resourceVersion=${list.metadata.resourceVersion}`;
  await api.watch(path, {
    signal,
    each(received) {
      const { type, object } = received as { type: string; object: Ingress };
      // 410: the version is too old. The list that follows begins anew.
      if (type === 'ERROR') throw new Error(`the watch ended: ${JSON.stringify(object)}`);
      if (type === 'DELETED') table.remove(keyOf(object));
      else void take(object).catch((error: Error) => console.error(error.message));
    },
  });

  async function take(ingress: Ingress): Promise<void> {
    const { annotations = {}, generation, name, namespace } = ingress.metadata;
    if (annotations['networking.knative.dev/ingress.class'] !== ingressClass) return;
    const hosts = table.set(keyOf(ingress), ingress.spec.rules ?? []);
    if (isReady(ingress)) return;
    const status = readyStatus(generation, address);
    await api.patch(`${group}/namespaces/${namespace}/ingresses/${name}/status`, { status });
    console.log(`${keyOf(ingress)}: ${hosts.join(' ')}`);
  }
}

function keyOf({ metadata }: Ingress): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function isReady({ metadata, status }: Ingress): boolean {
  if (status?.observedGeneration !== metadata.generation) return false;
  return (status.conditions ?? []).some((one) => one.type === 'Ready' && one.status === 'True');
}

function readyStatus(observedGeneration: number, domainInternal: string): object {
  const lastTransitionTime = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const loadBalancer = { ingress: [{ domainInternal }] };
  return {
    observedGeneration,
    publicLoadBalancer: loadBalancer,
    privateLoadBalancer: loadBalancer,
    conditions: ['LoadBalancerReady', 'NetworkConfigured', 'Ready'].map((type) => ({
      type,
      status: 'True',
      lastTransitionTime,
    })),
  };
}
