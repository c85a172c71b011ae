import { join } from 'node:path';
import { bundleWorker } from '#scripts/build/worker.ts';
import { ensureProgram } from '#shared/sandbox/packages.ts';
import { findPostgres } from '#shared/sandbox/servers/postgres-binaries.ts';
import type { RunningCluster } from '../up.ts';

/** What the worker runs besides itself. The Dockerfile takes them from Debian's packages; here they are this machine's. */
const clients = ['pg_dump', 'pg_restore', 'psql'];

/** Builds the worker of this checkout with the PostgreSQL client of this machine's servers, and returns its image. */
export async function importWorker(
  cluster: Pick<RunningCluster, 'importImage'>,
  { folder, say }: { folder: string; say(line: string): void },
): Promise<string> {
  say('building the worker ...');
  const bundle = join(folder, 'bundles', 'worker');
  for (const mistake of await bundleWorker(bundle)) say(mistake);
  const zstd = await ensureProgram('zstd', 'zstd');
  const { binFolder } = await findPostgres('system', { user: undefined, copyTo: join(folder, 'postgres') });
  const programs = [...clients.map((name) => join(binFolder, name)), zstd];
  return await cluster.importImage('worker', bundle, { programs });
}
