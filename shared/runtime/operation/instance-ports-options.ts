import type { OdooServers } from '#shared/adapters/odoo-server/odoo-servers.ts';
import type { Config } from '../config.ts';
import { defineConfig } from '../config.ts';
import { odooAdminPasswords } from '../odoo-passwords.ts';
import { type Platform, platformRows } from '../platform.ts';
import { rememberingCredentials } from '../remembered-credentials.ts';
import { odooServers, operations, tenantCluster } from '../rows.ts';
import { showServerPools } from '../server-pools.ts';
import { tenantClusterOptions } from '../tenant-cluster-options.ts';

/** What a function that carries out operations on instances needs to know. */
export const instanceOperationRows = defineConfig({ ...platformRows, ...odooServers, ...operations, ...tenantCluster });

/** How the ports of instances are opened from a function's configuration. */
export function instancePortsOptions(
  { name, database, log, metrics }: Pick<Platform, 'name' | 'database' | 'log' | 'metrics'>,
  config: Config<typeof odooServers & typeof tenantCluster>,
) {
  return {
    database,
    odooServers: { adminPassword: odooAdminPasswords(config), log, applicationName: `fleet ${name}` },
    cluster: tenantClusterOptions(config),
    tenantHttp: {
      namespace: config.tenantNamespace,
      ...(config.tenantConnectTo === undefined ? {} : { connectTo: config.tenantConnectTo }),
    },
    remembering: rememberingCredentials,
    showServers: (stats: OdooServers['stats']) => showServerPools(metrics, stats),
  };
}
