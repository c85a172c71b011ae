import { chmod, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ensureProgram } from '../packages.ts';
import type { ProcessGroup } from '../processes.ts';
import { ownBy, privateFolder, reachableFolder, serviceUser } from './service-user.ts';
import { startServer } from './start-server.ts';

export type RedisServer = {
  host: '127.0.0.1';
  port: number;
  password: string;
  logFile: string;
  stop(): Promise<void>;
  restart(options?: { signal?: NodeJS.Signals }): Promise<void>;
};

/** Starts a private Redis on 127.0.0.1: a cache of 256 MB that drops what was used least recently, and keeps nothing on disk. */
export async function startRedis(options: {
  processes: ProcessGroup;
  folder: string;
  /** Letters, digits, `-` and `_`. */
  password: string;
}): Promise<RedisServer> {
  const { password } = options;
  if (!/^[\w-]+$/.test(password)) throw new Error('a Redis password of the sandbox has letters, digits, - and _ only');
  const program = await ensureProgram('redis-server', 'redis-server');
  const user = await serviceUser();
  const folder = await reachableFolder(options.folder, user);
  await privateFolder(folder, user);
  const logFile = join(folder, 'log');
  const configFile = join(folder, 'redis.conf');
  const server = await startServer({
    processes: options.processes,
    async specFor(port) {
      await writeFile(configFile, configuration({ port, folder, password }), { mode: 0o600 });
      await chmod(configFile, 0o600);
      await ownBy(configFile, user);
      return {
        name: 'Redis',
        command: program,
        args: [configFile],
        env: { PATH: '/usr/bin:/bin' },
        cwd: folder,
        logFile,
        ...(user === undefined ? {} : { user }),
      };
    },
    isReady: (port) => ping(port, password),
  });
  return { host: '127.0.0.1', port: server.port, password, logFile, stop: server.stop, restart: server.restart };
}

function configuration({ port, folder, password }: { port: number; folder: string; password: string }): string {
  return `bind 127.0.0.1
port ${port}
dir ${JSON.stringify(folder)}
requirepass ${password}
maxmemory 256mb
maxmemory-policy allkeys-lru
save ""
appendonly no
daemonize no
`;
}

function ping(port: number, password: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.setTimeout(2000, () => socket.destroy(new Error('Redis does not answer')));
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      if (answer.endsWith('+PONG\r\n')) socket.end();
      else if (answer.includes('-')) socket.destroy(new Error(`Redis answered ${answer.trim()}`));
    });
    socket.once('error', reject);
    socket.once('close', () =>
      answer.endsWith('+PONG\r\n') ? resolve() : reject(new Error('Redis closed the connection')),
    );
  });
}
