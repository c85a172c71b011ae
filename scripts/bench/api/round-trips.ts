import { Redis } from 'ioredis';
import type { RedisServer } from '#shared/sandbox/servers/redis.ts';

/** How many commands clients send to Redis while `work` runs; those that a script runs inside it cost no round trip. */
export async function commandsDuring(server: RedisServer, work: () => Promise<void>): Promise<number> {
  const { host, port, password } = server;
  const client = new Redis({ host, port, password });
  const monitor = await client.monitor();
  let commands = 0;
  monitor.on('monitor', (_time: string, [name]: string[], source: string) => {
    if (source !== 'lua' && !upkeep.has(name?.toLowerCase() ?? '')) commands += 1;
  });
  try {
    await work();
    // what was sent before this is told before it
    const told = new Promise<void>((resolve) => {
      monitor.on('monitor', (_time: string, [, word]: string[]) => (word === 'end of work' ? resolve() : undefined));
    });
    await client.echo('end of work');
    await told;
    return commands;
  } finally {
    monitor.disconnect();
    client.disconnect();
  }
}

/** Of connections, and of this count. */
const upkeep: ReadonlySet<string> = new Set(['hello', 'auth', 'info', 'client', 'ping', 'select', 'echo', 'monitor']);
