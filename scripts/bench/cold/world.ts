import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import { openDatabase } from '#shared/adapters/postgres/pool.ts';
import { type KubernetesApi, startKubernetesApi } from '#shared/sandbox/kubernetes/server.ts';
import { generatePassword } from '#shared/sandbox/servers/password.ts';
import { startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { insertCatalogue, insertServer, insertTestInstance } from '#shared/testing/fleet-rows.ts';
import type { Surroundings } from '../surroundings.ts';

/** The instance that observe is told of. */
export const knownInstance = 'aaaaaaaaaaaa';

/** What a function needs to accept an event: records behind a bouncer, a broker that takes all, a cluster. */
export type ColdWorld = {
  /** The settings of every function. */
  env: Record<string, string>;
  /** Opens a connection of the bouncer to the server, so that no arm pays for it. */
  warm(): Promise<void>;
  stop(): Promise<void>;
};

const party = 'fleet';

export async function openColdWorld({ folder, processes }: Surroundings): Promise<ColdWorld> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const password = generatePassword();
  const postgres = await startPostgres({ processes, folder, name: 'platform' });
  const direct = { host: postgres.host, port: postgres.port };
  await createDatabase({ ...direct, user: postgres.superuser, password: postgres.superuserPassword }, password);
  await migrate({ ...direct, database: party, user: party, password });
  const bouncer = await startPgBouncer({
    processes,
    folder: join(folder, 'pgbouncer'),
    target: direct,
    users: [{ name: party, password }],
  });
  const database = openDatabase({
    driver: 'pg',
    ...{ host: bouncer.host, port: bouncer.port, database: party, user: party, password },
    applicationName: 'bench',
    sslMode: 'disable',
    maxConnections: 1,
    onError: () => undefined,
  });
  await insertCatalogue(database);
  await insertServer(database, { id: 'db-1', maxInstances: 100_000 });
  // refused at once: what follows the accepting must not wait for a name that does not exist
  await database.query(`update db_servers set host = '127.0.0.1', port = 9`);
  await insertTestInstance(database, knownInstance);
  const passwordFile = join(folder, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  const broker = await startBroker();
  const cluster = await startCluster(join(folder, 'cluster'));
  return {
    env: {
      PLATFORM_POSTGRES_HOST: bouncer.host,
      PLATFORM_POSTGRES_PORT: String(bouncer.port),
      PLATFORM_POSTGRES_DB: party,
      PLATFORM_POSTGRES_USER: party,
      PLATFORM_POSTGRES_PASSWORD_FILE: passwordFile,
      ODOO_POSTGRES_PASSWORDS_DIR: folder,
      BROKER_URL: `http://127.0.0.1:${(broker.address() as AddressInfo).port}/`,
      KUBECONFIG: cluster.kubeconfigFile,
      SOURCES_POLICY: 'open',
      LOG_LEVEL: 'warn',
    },
    warm: async () => void (await database.query('select 1')),
    async stop() {
      broker.closeAllConnections();
      broker.close();
      await cluster.stop();
      await database.end();
      await bouncer.stop();
      await postgres.stop();
    },
  };
}

async function createDatabase(
  superuser: { host: string; port: number; user: string; password: string },
  password: string,
): Promise<void> {
  const admin = new Client({ ...superuser, database: 'postgres' });
  await admin.connect();
  await admin.query(`create role ${party} login password '${password}'`);
  await admin.query(`create database ${party} owner ${party}`);
  await admin.end();
}

/** Takes every event at once. */
function startBroker(): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(202).end());
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

async function startCluster(folder: string): Promise<KubernetesApi> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return await startKubernetesApi({ folder });
}
