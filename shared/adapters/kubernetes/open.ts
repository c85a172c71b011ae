import type { WorkerJobs } from '#shared/domain/backup/job-ports.ts';
import type { Survey } from '#shared/domain/drift/ports.ts';
import type { ClusterJobs, CredentialsStore, TenantCluster } from '#shared/domain/instance/ports.ts';
import { type ClientOptions, type ClientStats, openKubernetesApi } from './client.ts';
import { credentialsStore } from './credentials.ts';
import { clusterJobs, workerJobs } from './jobs.ts';
import type { ClusterSettings } from './resources/settings.ts';
import { surveyShard } from './survey.ts';
import { tenantCluster } from './tenant-cluster.ts';

/** One cluster's adapter: four ports on one client with kept connections. Nothing is read or sent before the first call. */
export function openTenantCluster(config: ClientOptions & ClusterSettings): {
  cluster: TenantCluster;
  jobs: ClusterJobs;
  workers: WorkerJobs;
  credentials: CredentialsStore;
  /** Lists the objects of one shard, page by page; a shard is the first character of an instance's id. */
  survey(shard: string): Promise<Survey>;
  stats(): ClientStats;
  close(): Promise<void>;
} {
  const api = openKubernetesApi(config);
  return {
    cluster: tenantCluster(api, config),
    jobs: clusterJobs(api, config),
    workers: workerJobs(api, config),
    credentials: credentialsStore(api, config.namespace),
    survey: (shard) => surveyShard(api, config, shard),
    stats: () => api.stats(),
    close: () => api.close(),
  };
}
