import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { request } from 'undici';
import { tenantNamespace } from '#shared/sandbox/fleet/start.ts';
import { type KubernetesClient, openKubernetesClient } from '#shared/sandbox/kubernetes-client.ts';
import { jobs } from '#shared/sandbox/kubernetes-node/objects.ts';
import type { LocalFleet } from './local-fleet.ts';

/** Polls a condition until it holds. @throws Error that says what did not come true. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  options: { timeoutMs: number; everyMs?: number },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Gave up after ${options.timeoutMs / 1000} s waiting for ${what}.`);
    await delay(options.everyMs ?? 100);
  }
}

/** Waits until a page of an instance answers 200. A name under .localhost is this machine, whatever its resolver says. */
export async function waitForPage(url: string, options: { timeoutMs: number }): Promise<void> {
  const page = new URL(url);
  const address = `http://127.0.0.1:${page.port}${page.pathname}`;
  await until(
    url,
    async () => {
      try {
        const answer = await request(address, { headers: { host: page.host }, headersTimeout: 5_000 });
        await answer.body.dump();
        return answer.statusCode === 200;
      } catch {
        // Not up yet: the proxy itself always answers, so this is the wait's ordinary case only at its beginning.
        return false;
      }
    },
    options,
  );
}

/** Waits until an Odoo server holds a ready clone that a provisioning may claim. */
export async function waitForWarmDatabase(fleet: LocalFleet, options: { timeoutMs: number }): Promise<void> {
  const cluster = await openKubernetesClient(fleet.kubeconfigFile);
  const { host, port, superuser, superuserPassword } = fleet.odooServer;
  const client = new Client({ host, port, user: superuser, password: superuserPassword, database: 'postgres' });
  // The fleet may be stopped while this waits; the next query tells.
  client.on('error', () => undefined);
  await client.connect();
  try {
    const isWarm = async () => {
      await refuseFailedJobs(cluster, fleet);
      const { rowCount } = await client.query("select 1 from pg_database where datname like 'warm\\_%'");
      return (rowCount ?? 0) > 0;
    };
    await until('a warm database', isWarm, options);
  } finally {
    await client.end();
    await cluster.close();
  }
}

/** A Job that failed will not make a database warm: better said at once than after the time is up. */
async function refuseFailedJobs(cluster: KubernetesClient, fleet: LocalFleet): Promise<void> {
  const { items } = await cluster.list(jobs, tenantNamespace);
  const failed = items.find(({ status }) => status?.conditions?.some((one) => one.type === 'Failed'));
  if (failed === undefined) return;
  throw new Error(`Job ${failed.metadata.name} failed. ${fleet.whereToLook}`);
}
