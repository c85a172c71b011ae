import { chmod, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openProcessGroup, type ProcessGroup } from '../processes.ts';
import { startPgBouncer } from './pgbouncer.ts';
import { type PostgresServer, startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

let folder: string;
let processes: ProcessGroup;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'servers-'));
  await chmod(folder, 0o755);
  processes = await openProcessGroup();
});
afterAll(async () => {
  await processes.stopAll();
  await rm(folder, { recursive: true, force: true });
});

async function ask(
  server: { port: number },
  text: string,
  as: { user: string; password: string; database?: string },
): Promise<Record<string, unknown>[]> {
  const client = new Client({ host: '127.0.0.1', port: server.port, database: 'postgres', ...as });
  client.on('error', () => undefined); // the query that meets it reports it
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
const superuser = (server: PostgresServer) => ({ user: 'postgres', password: server.superuserPassword });

describe.each(['system', 'embedded'] as const)('PostgreSQL, %s', (version) => {
  const start = (group = processes) =>
    startPostgres({
      processes: group,
      folder,
      name: `${version}-server`,
      version,
      durable: false,
      settings: { log_statement: 'all' },
    });

  test('answers with the right password only, over TCP on 127.0.0.1 only', async () => {
    const server = await start();
    expect(await ask(server, 'SELECT current_user AS who', superuser(server))).toEqual([{ who: 'postgres' }]);
    await expect(ask(server, 'SELECT 1', { user: 'postgres', password: 'wrong' })).rejects.toThrow('password');
    const [row] = await ask(server, `SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'`, superuser(server));
    expect(row?.['rolpassword']).toMatch(/^SCRAM-SHA-256\$/);
    const ours = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal);
    if (ours !== undefined) await expect(reach(ours.address, server.port)).rejects.toThrow('ECONNREFUSED');
    await server.stop();
  });

  test('keeps its data over a new start, a crash and a restart', async () => {
    const first = await start();
    await ask(first, 'CREATE DATABASE kept', superuser(first));
    await first.stop();
    const second = await start();
    expect(second.superuserPassword).toBe(first.superuserPassword);
    await ask(second, 'SELECT 1', { ...superuser(second), database: 'kept' });
    await second.restart({ signal: 'SIGKILL' });
    await ask(second, 'SELECT 1', { ...superuser(second), database: 'kept' });
    await second.stop();
  });

  test('follows the settings it is given, and never logs the superuser password', async () => {
    const server = await start();
    await ask(server, "SELECT 'a marker'", superuser(server));
    expect(await ask(server, 'SHOW fsync', superuser(server))).toEqual([{ fsync: 'off' }]);
    const log = await readFile(server.logFile, 'utf8');
    expect(log).toContain('a marker');
    expect(log).not.toContain(server.superuserPassword);
    await server.stop();
  });

  test('starts below a folder that other users cannot enter, and forgets the data when that is deleted', async () => {
    const closed = join(folder, `closed-${version}`);
    await mkdir(closed, { mode: 0o700 });
    const begin = () => startPostgres({ processes, folder: closed, name: 'inner', version, durable: false });
    const first = await begin();
    await ask(first, 'CREATE DATABASE kept', superuser(first));
    await first.stop();
    const second = await begin();
    await ask(second, 'SELECT 1', { ...superuser(second), database: 'kept' });
    await second.stop();
    await rm(join(closed, 'inner'), { recursive: true });
    const third = await begin();
    await expect(ask(third, 'SELECT 1', { ...superuser(third), database: 'kept' })).rejects.toThrow('does not exist');
    await third.stop();
  });

  test('says why it did not start', async () => {
    const broken = startPostgres({
      processes,
      folder,
      name: `${version}-broken`,
      version,
      settings: { max_connections: 'x' },
    });
    await expect(broken).rejects.toThrow(/PostgreSQL .* ended while it started[^]*max_connections/);
  });
});

describe('PgBouncer and Redis', () => {
  test('PgBouncer passes users through in transaction mode, refuses a wrong password, and restarts on its port', async () => {
    const server = await startPostgres({ processes, folder, name: 'behind', durable: false });
    const user = { user: 'alice', password: 'alice-1' };
    await ask(server, `CREATE ROLE alice LOGIN PASSWORD 'alice-1'`, superuser(server));
    const bouncer = await startPgBouncer({
      processes,
      folder: join(folder, 'pgbouncer'),
      target: server,
      users: [{ name: 'alice', password: 'alice-1' }],
    });
    expect(await ask(bouncer, 'SELECT current_user AS who', user)).toEqual([{ who: 'alice' }]);
    await expect(ask(bouncer, 'SELECT 1', { ...user, password: 'wrong' })).rejects.toThrow();
    const admin = { user: bouncer.adminUser, password: bouncer.adminPassword, database: 'pgbouncer' };
    expect(await ask(bouncer, 'SHOW CONFIG', admin)).toContainEqual(
      expect.objectContaining({ key: 'pool_mode', value: 'transaction' }),
    );
    await bouncer.restart({ signal: 'SIGKILL' });
    expect(await ask(bouncer, 'SELECT current_user AS who', user)).toEqual([{ who: 'alice' }]);
    expect((await stat(join(bouncer.logFile, '../users.txt'))).mode & 0o777).toBe(0o600);
  });

  test('Redis asks for its password, is bounded, and comes back empty', async () => {
    const redis = await startRedis({ processes, folder: join(folder, 'redis'), password: 'redis-1' });
    const client = new Redis({ port: redis.port, password: 'redis-1', lazyConnect: true });
    await client.connect();
    await client.set('key', 'value');
    expect(await client.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'allkeys-lru']);
    client.disconnect();
    await redis.restart();
    const again = new Redis({ port: redis.port, password: 'redis-1' });
    expect(await again.get('key')).toBeNull();
    again.disconnect();
    const stranger = new Redis({ port: redis.port, retryStrategy: () => null });
    stranger.on('error', () => undefined); // the command that meets it reports it
    await expect(stranger.get('key')).rejects.toThrow('NOAUTH');
    stranger.disconnect();
  });
});

function reach(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}
