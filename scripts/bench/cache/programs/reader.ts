import { rename, writeFile } from 'node:fs/promises';
import { env } from 'node:process';
import { openCache } from '#shared/adapters/redis/cache.ts';
import { machineMs, openSource } from '../rows.ts';

// Another process: reads some rows through its own cache for a while, and writes down when it asked last for what it was given.

const address = { host: '127.0.0.1', port: Number(env['REDIS_PORT']), password: env['REDIS_PASSWORD'] ?? '' };
const ids = (env['IDS'] ?? '').split(' ');
const until = machineMs() + Number(env['FOR_MS']);
const file = env['REPORT_FILE'] ?? '';

const source = openSource(address);
const cache = openCache({ address, namespace: env['NAMESPACE'] ?? '', log: { warn: () => undefined } });
/** When the last read began that gave this version of a row, by row. */
const lastAsked: Record<string, Record<number, number>> = {};
let reads = 0;

async function readOn(id: string): Promise<void> {
  const seen: Record<number, number> = {};
  lastAsked[id] = seen;
  while (machineMs() < until) {
    for (let times = 0; times < 100; times += 1) {
      const askedMs = machineMs();
      const row = await cache.get('instance', id, () => source.read(id));
      if (row !== undefined) seen[row.version] = askedMs;
      reads += 1;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

await Promise.all(ids.map(readOn));
await writeFile(`${file}.new`, JSON.stringify({ reads, lastAsked }));
await rename(`${file}.new`, file);
cache.close();
source.close();
