import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureProgram } from '#shared/sandbox/packages.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import { ownBy, privateFolder, reachableFolder, serviceUser } from '#shared/sandbox/servers/service-user.ts';
import { startServer } from '#shared/sandbox/servers/start-server.ts';
import { freshDatabase } from '#shared/testing/databases.ts';
import { sharedServers } from '#shared/testing/servers.ts';
import { dataOf } from './agreement-rules.ts';
import { buildManifests } from './kustomize.ts';
import { podOf } from './pod-rules.ts';

// The configuration of the components pgbouncer and redis as it is shipped, read by the real programs. Only places differ: folders,
// ports, and the interface, which is loopback's.

const knative = fileURLToPath(new URL('../../knative', import.meta.url));
let root: string;
let processes: ProcessGroup;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'stores-'));
  processes = await openProcessGroup();
});
afterAll(async () => {
  await processes.stopAll();
  await rm(root, { recursive: true, force: true });
});

async function shipped(name: 'pgbouncer' | 'redis') {
  const objects = await buildManifests(join(knative, 'components', name));
  const find = (kind: string) => objects.find((one) => one.kind === kind && one.metadata.name === name);
  const deployment = find('Deployment');
  const pod = deployment === undefined ? undefined : podOf(deployment);
  return { files: dataOf(find('ConfigMap')), command: pod?.containers[0]?.command ?? [] };
}

/** Starts a program with these files in a folder of its own, as a user that is not root. */
async function start(
  name: string,
  options: {
    files(port: number, folder: string): Record<string, string>;
    args(folder: string, port: number): string[];
    command: string;
    isReady(port: number): Promise<void>;
  },
): Promise<number> {
  const user = await serviceUser();
  const folder = await reachableFolder(join(root, name), user);
  await privateFolder(folder, user);
  const server = await startServer({
    processes,
    async specFor(port) {
      for (const [file, text] of Object.entries(options.files(port, folder))) await writeFile(join(folder, file), text);
      await ownBy(folder, user);
      const env = { PATH: '/usr/bin:/bin:/usr/sbin:/usr/local/bin' };
      const args = options.args(folder, port);
      const where = { cwd: folder, logFile: join(folder, 'log'), ...(user === undefined ? {} : { user }) };
      return { name, command: options.command, args, env, ...where };
    },
    isReady: options.isReady,
  });
  return server.port;
}

it('PgBouncer takes its configuration, and gives a connection to one transaction at a time', async () => {
  const { postgres, platform } = sharedServers();
  const { database } = await freshDatabase();
  const { files, command } = await shipped('pgbouncer');
  expect(command).toEqual(['pgbouncer', '/etc/pgbouncer/pgbouncer.ini']);
  const ask = async (port: number, text: string) => {
    const client = new Client({ host: '127.0.0.1', port, database: 'platform', ...platform });
    client.on('error', () => undefined); // the query that meets it reports it
    await client.connect();
    try {
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
  const port = await start('pgbouncer', {
    command: await ensureProgram('pgbouncer', 'pgbouncer'),
    files: (ownPort, folder) => ({
      'databases.ini': `[databases]\nplatform = host=${postgres.host} port=${postgres.port} dbname=${database}\n`,
      'users.txt': `"${platform.user}" "${platform.password}"\n`,
      'pgbouncer.ini': (files['pgbouncer.ini'] ?? '')
        .replaceAll('/etc/pgbouncer', folder)
        .replaceAll('/var/run/secrets/odoo-fleet/pgbouncer', folder)
        .replace('listen_addr = *', 'listen_addr = 127.0.0.1')
        .replace('listen_port = 5432', `listen_port = ${ownPort}`),
    }),
    args: (folder) => [join(folder, 'pgbouncer.ini')],
    isReady: async (ownPort) => void (await ask(ownPort, 'select 1')),
  });
  const clients = [1, 2].map(() => new Client({ host: '127.0.0.1', port, database: 'platform', ...platform }));
  const backends = [];
  for (const client of clients) {
    await client.connect();
    backends.push((await client.query('select pg_backend_pid() as pid, current_user as who')).rows[0]);
  }
  expect(backends[0]).toMatchObject({ who: platform.user });
  // both are connected, and neither is in a transaction
  expect(backends[1]).toEqual(backends[0]);
  await Promise.all(clients.map((client) => client.end()));
  await expect(
    new Client({ host: '127.0.0.1', port, database: 'platform', user: platform.user, password: 'wrong' }).connect(),
  ).rejects.toThrow(/password|SASL/);
});

it('Redis takes its configuration and its password from a file, and keeps nothing on disk', async () => {
  const { files, command } = await shipped('redis');
  const [shell, flags, script = ''] = command;
  expect([shell, flags]).toEqual(['sh', '-ec']);
  await ensureProgram('redis-server', 'redis-server');
  const password = 'a-password-of-the-test';
  const ask = async (port: number, ...words: [string, ...string[]]) => {
    const redis = new Redis({ host: '127.0.0.1', port, password, lazyConnect: true, retryStrategy: null });
    redis.on('error', () => undefined); // the command that meets it reports it
    try {
      await redis.connect();
      return await redis.call(...words);
    } finally {
      redis.disconnect();
    }
  };
  const port = await start('redis', {
    command: '/bin/sh',
    files: (ownPort) => ({
      'redis.conf.shipped': `${(files['redis.conf'] ?? '').replace('port 6379', `port ${ownPort}`)}bind 127.0.0.1\n`,
      password,
    }),
    args: () => [
      '-ec',
      script
        .replaceAll('/tmp/', './')
        .replaceAll('/etc/redis/redis.conf', './redis.conf.shipped')
        .replaceAll('/var/run/secrets/odoo-fleet/redis', '.'),
    ],
    isReady: async (ownPort) => void (await ask(ownPort, 'PING')),
  });
  const stranger = connect({ host: '127.0.0.1', port }, () => stranger.write('GET x\r\n'));
  const [answer] = (await once(stranger, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^-NOAUTH/);
  stranger.destroy();
  expect(await ask(port, 'CONFIG', 'GET', 'save')).toEqual(['save', '']);
  expect(await ask(port, 'CONFIG', 'GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'allkeys-lru']);
});
