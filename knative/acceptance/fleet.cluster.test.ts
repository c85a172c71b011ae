import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DeployedFleet, deployFleet, importFunctions } from '#scripts/cluster/fleet/deploy.ts';
import { bringUpCluster } from '#scripts/cluster/up.ts';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { isOwnCluster, testNamespace, titled, until } from './cluster.fixture.ts';

// The product as it is deployed, from the event to a real Odoo. It needs images and servers that are made here, so it runs
// on the cluster of this machine only.

describe.skipIf(!isOwnCluster)(titled('The fleet on a cluster'), () => {
  const namespace = testNamespace('acceptance-fleet');
  let folder: string;
  let fleet: DeployedFleet;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-cluster-'));
    await chmod(folder, 0o755);
    const say = (line: string) => void process.stderr.write(`fleet: ${line}\n`);
    const cluster = await bringUpCluster({ say });
    const images = await importFunctions(cluster, { folder, say });
    fleet = await deployFleet(cluster, { folder, images, say });
  }, 900_000);
  afterAll(async () => {
    await fleet?.stop();
    await removeTree(folder);
  });

  it('provisions an instance from an event at the Broker to the login page of a real Odoo', async () => {
    const { fromPod } = namespace();
    const data = { customer: 'acme', name: 'acme', plan: 'small', owner: { email: 'owner@acme.example' } };
    const answer = await fromPod(fleet.brokerUrl, {
      method: 'POST',
      headers: {
        'ce-specversion': '1.0',
        'ce-id': 'provision-acme',
        'ce-type': 'dev.odoofleet.instance.provision.requested',
        'ce-source': 'urn:acceptance',
        'content-type': 'application/json',
      },
      body: JSON.stringify(data),
    });
    expect(answer.status).toBe(202);
    const instance = await until('the operation to succeed', () => succeeded(fleet), { limitMs: 600_000 });
    const { stdout } = { stdout: await fleet.kubectl.run(['-n', 'odoo-tenants', 'get', 'deployments,services,jobs']) };
    expect(stdout).toContain(instance);
    const page = await fromPod(`http://odoo-${instance}.odoo-tenants.svc.cluster.local:8069/web/login`);
    expect(page.status).toBe(200);
    expect(page.body).toContain('name="login"');
  }, 700_000);
});

/** The instance's id once its operation has succeeded. @throws Error when it has failed. */
async function succeeded({ records }: DeployedFleet): Promise<string | undefined> {
  const { rows } = await records.query<{ instance_id: string; state: string; step: string; error_text: string | null }>(
    `select instance_id, state, step, error_text from operations where kind = 'provision'`,
    [],
  );
  const operation = rows[0];
  if (operation?.state === 'failed') throw new Error(`it failed in ${operation.step}: ${operation.error_text}`);
  return operation?.state === 'succeeded' ? operation.instance_id : undefined;
}
