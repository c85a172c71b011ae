import { join } from 'node:path';
import type { ProcessGroup } from '#shared/sandbox/processes.ts';
import { type S3Server, startVersitygw } from '#shared/sandbox/servers/versitygw.ts';
import { bridgeTo } from './bridge.ts';
import { secret } from './manifests.ts';

/** A bucket for backups that pods reach. */
export type ClusterObjectStore = {
  server: S3Server;
  /** Of the bridge. */
  port: number;
  /** What the functions' ConfigMap says of it. */
  settings: Readonly<Record<string, string>>;
  /** The writer's credentials and the remover's. */
  secrets: object[];
  close(): Promise<void>;
};

/** Starts the S3 server versitygw on loopback and bridges it to the machine's address. */
export async function startObjectStore(options: {
  processes: ProcessGroup;
  folder: string;
  address: string;
  namespace: string;
}): Promise<ClusterObjectStore> {
  const { processes, folder, address, namespace } = options;
  const server = await startVersitygw({ processes, folder: join(folder, 'object-store') });
  const bridge = await bridgeTo(server, { host: address });
  const credentials = (who: 'writer' | 'remover') => ({ 'credentials.json': JSON.stringify(server[who]) });
  return {
    server,
    port: bridge.port,
    settings: {
      BACKUP_STORE: `s3://${server.bucket}`,
      BACKUP_S3_ENDPOINT: `http://${address}:${bridge.port}`,
      BACKUP_S3_REGION: server.region,
      // tests ask for what they look at
      BACKUP_SCHEDULE: 'off',
      VERIFY_BOOT_PERCENT: '0',
    },
    secrets: [
      secret('backup-store', namespace, credentials('writer')),
      secret('backup-remover', namespace, credentials('remover')),
    ],
    async close() {
      await bridge.close();
      await server.stop();
    },
  };
}
