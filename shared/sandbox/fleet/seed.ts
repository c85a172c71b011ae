import { upsertCluster } from '#shared/adapters/postgres/clusters.ts';
import type { Queryable } from '#shared/adapters/postgres/database.ts';
import { upsertDatabaseServer } from '#shared/adapters/postgres/database-servers.ts';
import { upsertImage } from '#shared/adapters/postgres/images.ts';
import { upsertPlan } from '#shared/adapters/postgres/plans.ts';
import type { DatabaseServer } from '#shared/domain/instance/instance.ts';
import { odooAdmin } from './databases.ts';

/** The image reference the sandbox's node runs as Odoo. */
export const odooImage = 'odoo:19';
/** The id of the sandbox's Odoo server of this place in the list, and the key of its admin's password. */
export function odooServerId(index: number): string {
  return `odoo-${index + 1}`;
}

/** The id of the sandbox's server for verifications, and the key of its admin's password. */
export const verificationServerId = 'verification';

/** An Odoo server of the sandbox, as the records hold it; the first one unless stated. */
export function sandboxOdooServer({ host, port }: { host: string; port: number }, index = 0): DatabaseServer {
  const id = odooServerId(index);
  return { id, host, port, adminUser: odooAdmin, secretKey: id, sslMode: 'disable' };
}

/** What an operator would have entered: plans, the image, the cluster, the Odoo servers. Safe to repeat. */
export async function seedRecords(
  queryable: Queryable,
  options: {
    ingressPort: number;
    odooServers: readonly { host: string; port: number }[];
    /** Where backups are restored to verify them. */
    verificationServer?: { host: string; port: number } | undefined;
    maxInstances: number;
    warmTarget: number;
    imageDigest: string;
    /** How the cluster knows Odoo's image; the sandbox's own name unless stated. */
    imageReference?: string;
  },
): Promise<void> {
  const plan = { diskGib: 10, workers: 0, cronThreads: 1, databaseConnections: 16, replicas: 1 };
  await upsertPlan(queryable, { id: 'small', cpuMillis: 1000, memoryMib: 2048, ...plan });
  await upsertPlan(queryable, { id: 'standard', cpuMillis: 2000, memoryMib: 4096, ...plan, diskGib: 20 });
  await upsertImage(
    queryable,
    {
      id: 'odoo-19',
      reference: options.imageReference ?? odooImage,
      odooVersion: '19.0',
      edition: 'community',
      addonsDigest: options.imageDigest,
      languages: ['en_US'],
    },
    { warmTarget: options.warmTarget },
  );
  await upsertCluster(queryable, {
    id: 'default',
    baseDomain: 'localhost',
    scheme: 'http',
    publicPort: options.ingressPort,
  });
  for (const [index, address] of options.odooServers.entries()) {
    await upsertDatabaseServer(queryable, sandboxOdooServer(address, index), { maxInstances: options.maxInstances });
  }
  if (options.verificationServer === undefined) return;
  const server = { ...sandboxOdooServer(options.verificationServer), id: verificationServerId };
  await upsertDatabaseServer(
    queryable,
    { ...server, secretKey: verificationServerId },
    { maxInstances: 0, purpose: 'verification', backupSlots: 2 },
  );
}
