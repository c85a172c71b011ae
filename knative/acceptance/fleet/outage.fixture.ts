import type { Manifest } from '#scripts/cluster/fleet/manifests.ts';
import { until } from '../cluster.fixture.ts';
import { type FleetUnderTest, publisher } from './fleet.fixture.ts';

/** A name of the cluster that nothing has. */
const nowhere = 'nowhere.odoo-fleet.svc.cluster.local';

/**
 * Rolls out a revision of a function that looks for the platform's database where there is none: it gets ready and answers 503 to
 * every event. Returns what mends it, which rolls out the manifest as it is shipped. The two wait until it answers so.
 */
export async function cutFromDatabase(fleet: FleetUnderTest, name: string): Promise<() => Promise<void>> {
  const shipped = fleet.manifests.find(
    (one) => one['apiVersion'] === 'serving.knative.dev/v1' && one.metadata.name === name,
  );
  if (shipped === undefined) throw new Error(`there is no function ${name}`);
  const change = async (manifest: Manifest, status: number) => {
    await fleet.kubectl.apply([manifest]);
    const wait = ['wait', '--for=condition=Ready', `ksvc/${name}`, '--timeout=120s'];
    await fleet.kubectl.run(['-n', 'odoo-fleet', ...wait], { timeoutMs: 130_000 });
    await until(`${name} to answer ${status}`, async () => (await answerTo(fleet, name)) === status, {
      limitMs: 60_000,
    });
  };
  await change(withVariable(shipped, 'PLATFORM_POSTGRES_HOST', nowhere), 503);
  return () => change(shipped, 204);
}

/** To a request that is kept as refused, in the platform's database. */
async function answerTo({ fromPod }: FleetUnderTest, name: string): Promise<number | undefined> {
  const type = `dev.odoofleet.instance.${name}.requested`;
  const attributes = { 'ce-specversion': '1.0', 'ce-id': `refused-${name}`, 'ce-type': type, 'ce-source': publisher };
  const headers = { ...attributes, 'content-type': 'application/json' };
  const url = `http://${name}.odoo-fleet.svc.cluster.local/`;
  return (await fromPod(url, { method: 'POST', headers, body: '{}' })).status;
}

function withVariable(manifest: Manifest, name: string, value: string): Manifest {
  const copy = structuredClone(manifest) as Manifest & {
    spec: { template: { spec: { containers: { env?: object[] }[] } } };
  };
  for (const container of copy.spec.template.spec.containers) {
    container.env = [...(container.env ?? []), { name, value }];
  }
  return copy;
}
