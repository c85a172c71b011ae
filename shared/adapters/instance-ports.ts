import type { BackupAccess, BootJob, VerificationDatabases, WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import type { LoadDatabases } from '#shared/domain/backup/load-ports.ts';
import type { RestoredState, RestoreSides } from '#shared/domain/backup/restore-ports.ts';
import type {
  ClusterJobs,
  CredentialsStore,
  Hosts,
  JobRunner,
  Placement,
  TenantCluster,
  TenantDatabases,
  TenantHttp,
} from '#shared/domain/instance/ports.ts';
import type { InstanceTraces } from '#shared/domain/instance/traces.ts';
import { openTenantCluster } from './kubernetes/open.ts';
import { openTenantHttp } from './odoo-http/tenant-http.ts';
import { type OdooServers, openOdooServers } from './odoo-server/odoo-servers.ts';
import type { Database } from './postgres/database.ts';
import { hosts } from './postgres/hosts.ts';
import { placement } from './postgres/placement.ts';

/** All that the steps of operations on instances talk to. */
export type InstancePorts = {
  placement: Placement;
  hosts: Hosts;
  credentials: CredentialsStore;
  databases: TenantDatabases;
  cluster: TenantCluster;
  jobs: ClusterJobs;
  http: TenantHttp;
  backupAccess: BackupAccess;
  verificationDatabases: VerificationDatabases;
  loadDatabases: LoadDatabases;
  restoreSides: RestoreSides;
  restoredState: RestoredState;
  traces: InstanceTraces;
  workers: WorkerJobs;
  boots: JobRunner<BootJob>;
};

export type InstancePortsOptions = {
  database: Database;
  odooServers: Parameters<typeof openOdooServers>[0];
  cluster: Parameters<typeof openTenantCluster>[0];
  tenantHttp: Parameters<typeof openTenantHttp>[0];
  /** Wraps the store of credentials, such as to tell the log what never to print. */
  remembering: (store: CredentialsStore) => CredentialsStore;
  /** Given the connections to Odoo's database servers, to ask whenever numbers are read. */
  showServers: (stats: OdooServers['stats']) => void;
};

/** Opens the ports once per process. Nothing is connected before the first use. */
export function openInstancePorts(options: InstancePortsOptions): {
  ports: InstancePorts;
  /** In this order, by name. */
  closers: readonly { name: string; close: () => Promise<void> }[];
} {
  const servers = openOdooServers(options.odooServers);
  options.showServers(() => servers.stats());
  const tenants = openTenantCluster(options.cluster);
  const http = openTenantHttp(options.tenantHttp);
  return {
    ports: {
      placement: placement(options.database),
      hosts: hosts(options.database),
      databases: servers.databases,
      cluster: tenants.cluster,
      jobs: tenants.jobs,
      credentials: options.remembering(tenants.credentials),
      http,
      backupAccess: servers.backupAccess,
      verificationDatabases: servers.verifications,
      loadDatabases: servers.loads,
      restoreSides: servers.sides,
      restoredState: servers.restoredState,
      traces: servers.traces,
      workers: tenants.workers,
      boots: tenants.boots,
    },
    closers: [
      { name: 'odoo servers', close: () => servers.end() },
      { name: 'cluster', close: () => tenants.close() },
      { name: 'tenants', close: () => http.close() },
    ],
  };
}
