import { Gauge } from 'prom-client';
import { ping } from '#events/knative/ping.ts';
import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { openOdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import { adoptLegacyServer } from '#shared/adapters/postgres/legacy-server.ts';
import { asFailure } from '#shared/domain/failure.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { knownSecrets } from '#shared/runtime/known-secrets.ts';
import { odooAdminPasswords } from '#shared/runtime/odoo-passwords.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { functionAddresses, odooServers, tenantCluster } from '#shared/runtime/rows.ts';
import { tenantClusterOptions } from '#shared/runtime/tenant-cluster-options.ts';
import { tick } from './handler.ts';

const rows = defineConfig({ ...platformRows, ...odooServers, ...tenantCluster, ...functionAddresses });
const config = parseConfig(rows, process.env);
const platform = openPlatform('reconcile', config);
const { log, metrics, shutdown } = platform;

const servers = openOdooServers({ adminPassword: odooAdminPasswords(config), log, applicationName: 'fleet reconcile' });
const tenants = openTenantCluster(tenantClusterOptions(config));
shutdown.during('close-connections', 'odoo servers', () => servers.end());
shutdown.during('close-connections', 'cluster', () => tenants.close());

const warmDatabases = new Gauge({
  name: 'fleet_warm_databases',
  help: 'Ready clones on an Odoo server, by template. At 0, provisioning clones the template or needs a Job.',
  labelNames: ['server', 'template'],
  registers: [metrics.registry],
});
const complained = new Set<string>();

async function adoptLegacy(): Promise<void> {
  if (config.legacyHost === undefined) return;
  const { legacyHost, legacyPort, legacyUser } = config;
  if (await adoptLegacyServer(platform.database, { host: legacyHost, port: legacyPort, user: legacyUser })) {
    log.warn('db_servers had no row: the server of ODOO_POSTGRES_* was added as "legacy". Add your servers there.');
  }
}

const handler = eventFunction({
  ...platform.eventFunctionParts,
  definitions: [ping],
  // Clones and Jobs take their time; a tick is slow by nature.
  slowMs: 20_000,
  async handle() {
    const report = await tick({
      ...platform,
      publishStraight: (name, events) => platform.publishTo(config.functionUrl.replace('{function}', name), events),
      ports: {
        warm: servers.warm,
        jobs: tenants.jobs,
        remember: (secret) => knownSecrets.add(secret),
        reach: (server) => servers.reach(server),
        sweep: (server) => servers.sweep(server),
      },
      adoptLegacyServer: adoptLegacy,
      onWarm: (one) => {
        warmDatabases.set({ server: one.serverId, template: one.digest }, one.warm);
        const isNews = one.reason !== undefined && !complained.has(one.reason);
        if (isNews) log.error({ server: one.serverId, reason: one.reason }, 'a template cannot be built');
        if (one.reason !== undefined) complained.add(one.reason);
      },
      onTrouble: (what, error) => log.warn({ what, err: asFailure(error) }, 'a part of the tick failed'),
    });
    return report.woken > 0 ? 'woke' : 'quiet';
  },
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
