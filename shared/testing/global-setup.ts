import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { migrate } from '#shared/adapters/postgres/migrate.ts';
import { removeTree } from '#shared/sandbox/cache-folder.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { generatePassword } from '#shared/sandbox/servers/password.ts';
import { startPgBouncer } from '#shared/sandbox/servers/pgbouncer.ts';
import { type PostgresServer, startPostgres } from '#shared/sandbox/servers/postgres.ts';
import { startRedis } from '#shared/sandbox/servers/redis.ts';
import type { SharedServers } from './servers.ts';
import { asSuperuser } from './superuser.ts';

/** Starts the servers that integration tests share, once per run, and ends them after it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const processes = await openProcessGroup();
  const folder = await mkdtemp(join(tmpdir(), 'fleet-tests-'));
  await chmod(folder, 0o755);
  const stop = async () => {
    await processes.stopAll();
    await removeTree(folder);
  };
  try {
    project.provide('servers', await startServers(processes, folder));
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startServers(processes: ProcessGroup, folder: string): Promise<SharedServers> {
  const platform = { user: 'platform', password: generatePassword() };
  const redisPassword = generatePassword();
  const [postgres, redis] = await Promise.all([
    startPostgres({ processes, folder, name: 'postgres', durable: false }),
    startRedis({ processes, folder: join(folder, 'redis'), password: redisPassword }),
  ]);
  const template = 'platform_template';
  await makeTemplate(postgres, { platform, template });
  const pgbouncer = await startPgBouncer({
    processes,
    folder: join(folder, 'pgbouncer'),
    target: postgres,
    users: [{ name: platform.user, password: platform.password }],
  });
  const { host, port, superuser, superuserPassword, logFile } = postgres;
  return {
    postgres: { host, port, superuser, superuserPassword, logFile },
    pgbouncer: { host: pgbouncer.host, port: pgbouncer.port },
    redis: { host: redis.host, port: redis.port, password: redisPassword },
    platform,
    template,
  };
}

async function makeTemplate(
  postgres: PostgresServer,
  { platform, template }: { platform: { user: string; password: string }; template: string },
): Promise<void> {
  const { host, port } = postgres;
  await asSuperuser(postgres, async (client) => {
    // the password has letters, digits, - and _ only
    await client.query(`create role ${platform.user} login password '${platform.password}'`);
    await client.query(`create database ${template} owner ${platform.user}`);
    await migrate({ host, port, database: template, ...platform });
    // a session inside would block every clone
    await client.query(`alter database ${template} with is_template true allow_connections false`);
  });
}
