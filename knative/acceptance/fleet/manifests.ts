import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { builds } from '#scripts/checks/builds.ts';
import { knative, pathOf } from '#scripts/checks/control-plane.fixture.ts';
import { identityOf, type Manifest, parseManifests } from '#scripts/checks/kustomize.ts';
import { type ClusterClient, openClusterClient } from '#shared/sandbox/kubernetes/cluster-client.ts';
import { type JsonObject, stringAt } from '#shared/sandbox/kubernetes/json.ts';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import { numbersOf, podsOfFunction } from './pods.fixture.ts';

/** Kinds of other products than Kubernetes and Knative: nothing of this cluster knows them. */
const unknownKinds = ['PodMonitor', 'PrometheusRule', 'RabbitmqBrokerConfig'];
const atOnce = 6;

/** The manifests as they are shipped, on an API server with Knative's webhooks and controllers. */
export function manifestsTests(fleet: () => FleetUnderTest): void {
  let client: ClusterClient;
  let deployed: Manifest[];

  beforeAll(async () => {
    client = await openClusterClient(fleet().cluster.kubeconfig);
    deployed = fleet().manifests as unknown as Manifest[];
  });
  afterAll(() => client.close());

  it('change nothing when they are applied a second time', async () => {
    const { kubectl } = fleet();
    const stored = async () => {
      const found = await inParallel(deployed, async (object) => {
        const { status, body } = await client.request('GET', pathOf(object));
        return [identityOf(object), status === 200 ? wantedOf(body) : status] as const;
      });
      return Object.fromEntries(found);
    };
    const revisions = () => kubectl.run(['-n', 'odoo-fleet', 'get', 'revisions', '-o', 'name']);
    const before = [await stored(), await revisions()];
    expect(Object.entries(before[0] ?? {}).filter(([, found]) => typeof found === 'number')).toEqual([]);
    await kubectl.apply(deployed);
    expect([await stored(), await revisions()]).toEqual(before);
    await kubectl.run(['-n', 'odoo-fleet', 'wait', '--for=condition=Ready', 'ksvc', '--all', '--timeout=50s']);
    expect([await stored(), await revisions()]).toEqual(before);
  });

  it('are accepted with every field known, of all overlays and components, as far as their kinds are here', async () => {
    const observability = await fleet().kubectl.run(['kustomize', join(knative, 'observability')]);
    const all = [
      ...(await builds(knative)),
      { name: 'observability', objects: parseManifests(observability, 'observability') },
    ];
    // Most objects are the same in all of them.
    const distinct = new Map(
      all.flatMap(({ name, objects }) => objects.map((object) => [JSON.stringify(object), { name, object }] as const)),
    );
    const unknown = new Set<string>();
    const refused = await inParallel([...distinct.values()], async ({ name, object }) => {
      const { status, body } = await tryOut(client, object);
      if (status < 300) return undefined;
      if (status === 404 && body['text'] !== undefined) return void unknown.add(object.kind);
      return `${name}: ${identityOf(object)}: ${status} ${stringAt(body, 'message')}`;
    });
    expect(refused.filter((line) => line !== undefined)).toEqual([]);
    expect([...unknown].toSorted()).toEqual(unknownKinds);
  });

  it('make pods whose numbers are where the scrape configuration looks for them', async () => {
    const url = 'http://reconcile.odoo-fleet.svc.cluster.local/readyz';
    await until('reconcile to answer', async () => (await fleet().fromPod(url)).status === 200, { limitMs: 60_000 });
    const [pod] = await until('a pod of reconcile', async () => nonEmpty(await podsOfFunction(fleet(), 'reconcile')), {
      limitMs: 60_000,
    });
    const ports = pod?.spec.containers.flatMap((container) => container.ports ?? []);
    expect(ports).toContainEqual(expect.objectContaining({ name: 'user-port', containerPort: 8080 }));
    const afterTick = async () => {
      const text = await numbersOf(fleet(), 'reconcile');
      return /^fleet_tick_last_end_timestamp_seconds\S* [1-9]/m.test(text) ? text : undefined;
    };
    // Ticks come every ten seconds. Before the first one has ended its time is 0.
    const numbers = await until('the numbers of a tick', afterTick, { limitMs: 60_000 });
    const names = ['fleet_pool_connections', 'fleet_outbox_unpublished_events', 'fleet_reconcile_shards_overdue'];
    for (const name of [...names, 'nodejs_eventloop_lag_seconds']) {
      expect(numbers).toMatch(new RegExp(`^${name}\\{.*function="reconcile"`, 'm'));
    }
    expect(numbers).toMatch(/^fleet_request_duration_seconds_count\{.*type="dev.knative.sources.ping".*status="204"/m);
  });

  it('find queue-proxy with numbers for the autoscaler, and those of requests off, as Serving is shipped', async () => {
    const [pod] = await until('a pod of reconcile', async () => nonEmpty(await podsOfFunction(fleet(), 'reconcile')), {
      limitMs: 60_000,
    });
    const ask = (port: number) => fleet().fromPod(`http://${pod?.status.podIP}:${port}/metrics`, { timeoutMs: 5_000 });
    // Not in the format of Prometheus: a message of the autoscaler's own, which begins with the pod's name.
    expect(await ask(9090)).toMatchObject({
      status: 200,
      body: expect.stringContaining(`${pod?.metadata.name}`) as string,
    });
    expect(await ask(9091)).toEqual({ error: 'ECONNREFUSED' });
  });
}

function nonEmpty<Item>(items: Item[]): Item[] | undefined {
  return items.length === 0 ? undefined : items;
}

/**
 * What was asked for and what the webhooks made of it. The generation counts changes; an object without one, and without a status
 * that controllers write to, has its version for that.
 */
function wantedOf({ status, metadata, ...object }: JsonObject): object {
  const { resourceVersion, managedFields: _fields, ...kept } = metadata as JsonObject;
  const isStill = status === undefined && kept['generation'] === undefined;
  return { ...object, metadata: kept, ...(isStill ? { resourceVersion } : {}) };
}

/** An apply that stores nothing. What cannot be changed into another (a Broker's class, a Job's pods) is tried as a new object. */
async function tryOut(client: ClusterClient, object: Manifest) {
  const isFixed = ['Broker', 'Job'].includes(object.kind);
  const tried = isFixed
    ? { ...object, metadata: { ...object.metadata, name: `${object.metadata.name}-tried` } }
    : object;
  const path = `${pathOf(tried)}?dryRun=All&fieldValidation=Strict&fieldManager=fleet-cluster&force=true`;
  return await client.request('PATCH', path, { body: tried, contentType: 'application/apply-patch+yaml' });
}

/** In order, a few at a time. */
async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += atOnce) {
    results.push(...(await Promise.all(items.slice(start, start + atOnce).map(work))));
  }
  return results;
}
