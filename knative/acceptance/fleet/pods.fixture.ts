import type { FleetUnderTest } from './fleet.fixture.ts';

export type Pod = {
  metadata: { name: string; namespace: string; labels: Record<string, string>; deletionTimestamp?: string };
  spec: {
    automountServiceAccountToken?: boolean;
    containers: { name: string; ports?: { name?: string; containerPort: number }[] }[];
  };
  status: { podIP?: string; conditions?: { type: string; status: string }[] };
};

export type ReadyPod = Pod & { status: { podIP: string } };

/** Those that can be asked now. `which` is what kubectl calls them by: a namespace, and labels where not all are wanted. */
export async function readyPods(
  { kubectl }: Pick<FleetUnderTest, 'kubectl'>,
  which: { namespace: string; labels?: string },
): Promise<ReadyPod[]> {
  const selector = which.labels === undefined ? [] : ['-l', which.labels];
  const text = await kubectl.run(['-n', which.namespace, 'get', 'pods', ...selector, '-o', 'json']);
  const { items } = JSON.parse(text) as { items: Pod[] };
  return items.filter((pod): pod is ReadyPod => {
    const isReady = pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
    return isReady && pod.metadata.deletionTimestamp === undefined && pod.status.podIP !== undefined;
  });
}

export function podsOfFunction(fleet: FleetUnderTest, name: string): Promise<ReadyPod[]> {
  return readyPods(fleet, { namespace: 'odoo-fleet', labels: labelOf(name) });
}

/** Of all of its pods, those that begin and those on their way out included. */
export async function podNamesOf({ kubectl }: FleetUnderTest, name: string): Promise<string[]> {
  const text = await kubectl.run(['-n', 'odoo-fleet', 'get', 'pods', '-l', labelOf(name), '-o', 'name']);
  return text.split('\n').filter((line) => line !== '');
}

const labelOf = (name: string) => `serving.knative.dev/service=${name}`;

/** The numbers of a function's pods as Prometheus reads them, past queue-proxy: that starts nothing. */
export async function numbersOf(fleet: FleetUnderTest, name: string): Promise<string> {
  const pods = await podsOfFunction(fleet, name);
  const texts = pods.map(async ({ status }) => {
    // A pod may be gone meanwhile.
    const { body } = await fleet.fromPod(`http://${status.podIP}:8080/metrics`, { timeoutMs: 5_000 });
    return body ?? '';
  });
  return (await Promise.all(texts)).join('\n');
}
