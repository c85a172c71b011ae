import { openTenantCluster } from '#shared/adapters/kubernetes/open.ts';
import { openTenantHttp } from '#shared/adapters/odoo-http/tenant-http.ts';
import { openOdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import { placement } from '#shared/adapters/postgres/placement.ts';
import { defineConfig, parseConfig } from '#shared/runtime/config.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { host } from '#shared/runtime/host.ts';
import { odooAdminPasswords } from '#shared/runtime/odoo-passwords.ts';
import { operationHandler } from '#shared/runtime/operation/operation-handler.ts';
import { openPlatform, platformRows } from '#shared/runtime/platform.ts';
import { rememberingCredentials } from '#shared/runtime/remembered-credentials.ts';
import { instanceDefaults, odooServers, operations, tenantCluster } from '#shared/runtime/rows.ts';
import { showServerPools } from '#shared/runtime/server-pools.ts';
import { tenantClusterOptions } from '#shared/runtime/tenant-cluster-options.ts';
import { provisionEvents, provisionHandler } from './handler.ts';
import { provisionOperation } from './operation.ts';

const rows = defineConfig({ ...platformRows, ...instanceDefaults, ...odooServers, ...operations, ...tenantCluster });
const config = parseConfig(rows, process.env);
const platform = openPlatform('provision', config);
const { database, log, metrics, shutdown, eventSource } = platform;

const servers = openOdooServers({ adminPassword: odooAdminPasswords(config), log, applicationName: 'fleet provision' });
showServerPools(metrics, () => servers.stats());
const tenants = openTenantCluster(tenantClusterOptions(config));
const http = openTenantHttp({
  namespace: config.tenantNamespace,
  ...(config.tenantConnectTo === undefined ? {} : { connectTo: config.tenantConnectTo }),
});
shutdown.during('close-connections', 'odoo servers', () => servers.end());
shutdown.during('close-connections', 'cluster', () => tenants.close());
shutdown.during('close-connections', 'tenants', () => http.close());

const work = provisionOperation(database, {
  eventSource,
  ports: {
    placement: placement(database),
    databases: servers.databases,
    cluster: tenants.cluster,
    jobs: tenants.jobs,
    credentials: rememberingCredentials(tenants.credentials),
    http,
  },
});
const handler = eventFunction({
  ...platform.eventFunctionParts,
  metrics,
  definitions: provisionEvents,
  handle: provisionHandler({
    platform,
    work,
    operations: operationHandler(platform, work, { leaseMs: config.leaseMs, budgetMs: config.stepBudgetMs }),
    defaults: {
      imageId: config.defaultImage,
      clusterId: config.clusterId,
      language: config.defaultLanguage,
      eventSource,
    },
  }),
});

await host(platform, handler, { isProgram: import.meta.main, ...config });
