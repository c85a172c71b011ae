import { setTimeout as pause } from 'node:timers/promises';
import { nodeName } from '#scripts/cluster/places.ts';
import { median } from '../statistics.ts';
import type { World } from './world.ts';

const mib = 1024 * 1024;

/** Time that requests of a type have spent in a function's pods, by their own numbers. */
export async function handledBy(world: World, service: string): Promise<{ count: number; seconds: number }> {
  const handled = { count: 0, seconds: 0 };
  for (const { name: pod, isReady } of await world.podsOf(service)) {
    // One that is about to start has handled nothing.
    if (!isReady) continue;
    const text = await world.read(`/api/v1/namespaces/odoo-fleet/pods/${pod}:8080/proxy/metrics`);
    for (const [, field, value] of text.matchAll(/^fleet_request_duration_seconds_(sum|count)\{.*\} (\S+)$/gm)) {
      if (field === 'sum') handled.seconds += Number(value);
      else handled.count += Number(value);
    }
  }
  return handled;
}

type Stats = {
  pods: {
    podRef: { name: string; namespace: string };
    containers?: { name: string; memory?: { workingSetBytes?: number } }[];
  }[];
};

/** Working sets in MiB, as the kubelet sees them. */
export type IdleMemory = {
  /** Of each function's own container. */
  functions: Map<string, number>;
  /** Of the queue-proxy beside it. */
  proxy: number;
  suspensionPage: number;
  eventSource: number;
  knative: number;
};

/** How old a number of the kubelet may be. */
const statsEveryMs = 3_000;
const limitMs = 120_000;

/** Wakes every Knative Service and keeps it awake, with nothing to do, until the kubelet has measured all of them. */
export async function measureIdleMemory(world: World, services: readonly string[]): Promise<IdleMemory> {
  const deadline = performance.now() + limitMs;
  for (let look = 0; ; look += 1) {
    await Promise.all(services.map((service) => world.ask(service, '/readyz')));
    await pause(statsEveryMs);
    const stats = JSON.parse(await world.read(`/api/v1/nodes/${nodeName}/proxy/stats/summary`)) as Stats;
    const memory = readMemory(stats, services);
    // The first numbers are from while they started.
    if (memory !== undefined && look >= 5) return memory;
    if (performance.now() > deadline) throw new Error('The kubelet did not measure all functions.');
  }
}

function readMemory({ pods }: Stats, services: readonly string[]): IdleMemory | undefined {
  const containers = pods.flatMap(({ podRef, containers = [] }) =>
    containers.map(({ name, memory }) => ({
      ...podRef,
      pod: podRef.name,
      name,
      mib: (memory?.workingSetBytes ?? 0) / mib,
    })),
  );
  const sizes = (namespace: string, wanted: (container: (typeof containers)[number]) => boolean) =>
    containers.filter((one) => one.namespace === namespace && one.mib > 0 && wanted(one)).map(({ mib: size }) => size);
  const functions = new Map(
    services.map((service) => [service, median(sizes('odoo-fleet', ({ name }) => name === service))]),
  );
  if ([...functions.values()].some(Number.isNaN)) return undefined;
  const sum = (all: readonly number[]) => all.reduce((total, one) => total + one, 0);
  return {
    functions,
    proxy: median(sizes('odoo-fleet', ({ name }) => name === 'queue-proxy')),
    suspensionPage: sum(sizes('odoo-tenants', ({ name }) => name === 'suspension-page')),
    eventSource: sum(sizes('odoo-tenants', ({ name }) => name === 'receive-adapter')),
    knative: sum(sizes('knative-serving', () => true)) + sum(sizes('knative-eventing', () => true)),
  };
}
