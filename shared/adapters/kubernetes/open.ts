import type { BootJob, WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import type { Survey } from '#shared/domain/drift/ports.ts';
import type { ClusterJobs, CredentialsStore, JobRunner, TenantCluster } from '#shared/domain/instance/ports.ts';
import type { ClusterHoldings } from '#shared/domain/platform/world.ts';
import { type ClientOptions, type ClientStats, openKubernetesApi } from './client.ts';
import { credentialsStore } from './credentials.ts';
import { readHoldings } from './holdings.ts';
import { bootJobs, clusterJobs, workerJobs } from './jobs.ts';
import type { ClusterSettings } from './resources/settings.ts';
import { surveyShard } from './survey.ts';
import { tenantCluster } from './tenant-cluster.ts';

/** One cluster's adapter: five ports on one client with kept connections. Nothing is read or sent before the first call. */
export function openTenantCluster(config: ClientOptions & ClusterSettings): {
  cluster: TenantCluster;
  jobs: ClusterJobs;
  workers: WorkerJobs;
  boots: JobRunner<BootJob>;
  credentials: CredentialsStore;
  /** Lists the objects of one shard, page by page; a shard is the first character of an instance's id. */
  survey(shard: string): Promise<Survey>;
  /** What the cluster holds of every instance, by its id. */
  holdings(): Promise<Map<string, ClusterHoldings>>;
  stats(): ClientStats;
  close(): Promise<void>;
} {
  const api = openKubernetesApi(config);
  return {
    cluster: tenantCluster(api, config),
    jobs: clusterJobs(api, config),
    workers: workerJobs(api, config),
    boots: bootJobs(api, config),
    credentials: credentialsStore(api, config.namespace),
    survey: (shard) => surveyShard(api, config, shard),
    holdings: () => readHoldings(api, config),
    stats: () => api.stats(),
    close: () => api.close(),
  };
}
