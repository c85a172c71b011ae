import { setTimeout as delay } from 'node:timers/promises';
import type { Fleet } from '#shared/sandbox/fleet/start.ts';
import type { PostgresServer } from '#shared/sandbox/servers/postgres.ts';
import type { Mishap } from './plan.ts';

export type HappenedMishap = Mishap & { startedMs: number; tookMs: number; pids?: readonly number[] };

/** Carries out the mishaps in their time, side by side where they overlap; resolves when all is up again. */
export async function carryOutMishaps(fleet: Fleet, mishaps: readonly Mishap[]): Promise<readonly HappenedMishap[]> {
  const startedAtMs = Date.now();
  return await Promise.all(
    mishaps.map(async (mishap): Promise<HappenedMishap> => {
      await delay(Math.max(0, startedAtMs + mishap.atMs - Date.now()));
      const startedMs = Date.now() - startedAtMs;
      const pids = await carryOut(fleet, mishap);
      const tookMs = Date.now() - startedAtMs - startedMs;
      return { ...mishap, startedMs, tookMs, ...(pids === undefined ? {} : { pids }) };
    }),
  );
}

async function carryOut(fleet: Fleet, mishap: Mishap): Promise<readonly number[] | undefined> {
  const { servers } = fleet;
  switch (mishap.what) {
    case 'kill-function':
      return fleet.functions.kill(mishap.functionName, 'SIGKILL');
    case 'restart-redis':
      await servers.redis.restart({ signal: 'SIGKILL' });
      return undefined;
    case 'restart-bouncer':
      await servers.bouncer.restart({ signal: 'SIGKILL' });
      return undefined;
    case 'roll-out-broker':
      await fleet.broker.rollOut();
      return undefined;
    case 'odoo-server-down':
      await down(servers.odooServers[mishap.server], mishap.forMs);
      return undefined;
    case 'records-down':
      await down(servers.platform, mishap.forMs);
      return undefined;
    case 'verification-server-down':
      await down(servers.verification, mishap.forMs);
      return undefined;
    default: {
      const unreachable: never = mishap;
      return unreachable;
    }
  }
}

async function down(server: PostgresServer | undefined, forMs: number): Promise<void> {
  if (server === undefined) throw new Error('the plan names a server that this fleet does not have');
  await server.stop();
  await delay(forMs);
  await server.restart();
}
