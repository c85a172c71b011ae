import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openCache } from '#shared/adapters/redis/cache.ts';
import type { RedisServer } from '#shared/sandbox/servers/redis.ts';
import { percentile } from '../statistics.ts';
import type { Surroundings } from '../surroundings.ts';
import { machineMs, openSource } from './rows.ts';

const readerFile = fileURLToPath(new URL('./programs/reader.ts', import.meta.url));
const ids = Array.from({ length: 20 }, (_, index) => `watched-${index}`);
const writeEveryMs = 40;
const forMs = 8_000;

export type Staleness = { reads: number; writes: number; medianMs: number; worstMs: number };

/**
 * For how long after a commit in this process another one still gives the old value: it reads 20 rows without a pause
 * while they are changed here one after the other, each told of as a writer does.
 */
export async function stalenessElsewhere(
  { folder, processes }: Pick<Surroundings, 'folder' | 'processes'>,
  redis: RedisServer,
): Promise<Staleness> {
  const address = { host: redis.host, port: redis.port, password: redis.password };
  const namespace = 'elsewhere';
  const reportFile = join(folder, 'reader.json');
  const reader = await processes.start({
    name: 'cache-reader',
    command: process.execPath,
    args: [readerFile],
    env: {
      REDIS_PORT: String(redis.port),
      REDIS_PASSWORD: redis.password,
      NAMESPACE: namespace,
      IDS: ids.join(' '),
      FOR_MS: String(forMs),
      REPORT_FILE: reportFile,
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    },
    logFile: join(folder, 'reader.log'),
  });
  const source = openSource(address);
  const cache = openCache({ address, namespace, log: { warn: () => undefined } });
  /** When each version of a row was committed, by row. */
  const committed = new Map<string, number[]>();
  try {
    let report: string | undefined;
    for (let count = 0; report === undefined; count += 1) {
      const id = ids[count % ids.length] ?? '';
      const versions = committed.get(id) ?? [0];
      committed.set(id, versions);
      await source.write(id, versions.length);
      versions.push(machineMs());
      await cache.invalidate('instance', id);
      await delay(writeEveryMs);
      report = await readFile(reportFile, 'utf8').catch(() => undefined);
      if (count * writeEveryMs > 20 * forMs) throw new Error('the reading process wrote no report; see reader.log');
    }
    return judge(committed, JSON.parse(report) as Report);
  } finally {
    cache.close();
    source.close();
    await reader.stop({ signal: 'SIGKILL' });
  }
}

type Report = { reads: number; lastAsked: Record<string, Record<string, number>> };

/** A version is stale for as long as somebody who asks after the commit of the next one is given it. */
function judge(committed: ReadonlyMap<string, readonly number[]>, { reads, lastAsked }: Report): Staleness {
  const stale: number[] = [];
  for (const [id, versions] of committed) {
    for (const [version, askedMs] of Object.entries(lastAsked[id] ?? {})) {
      const over = versions[Number(version) + 1];
      if (over !== undefined) stale.push(Math.max(0, askedMs - over));
    }
  }
  const writes = [...committed.values()].reduce((sum, versions) => sum + versions.length - 1, 0);
  return { reads, writes, medianMs: percentile(stale, 0.5), worstMs: Math.max(...stale) };
}
