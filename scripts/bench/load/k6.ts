import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '#shared/domain/failure.ts';
import { withCacheEntry } from '#shared/sandbox/cache-folder.ts';
import { findGo } from '#shared/sandbox/go/go-programs.ts';

const version = 'v1.8.1';

/** The program k6, built from the Go module proxy into the cache folder once per version. @throws Failure without Go. */
export async function ensureK6(say: (message: string) => void): Promise<string> {
  const go = await findGo();
  if (go === undefined)
    throw new Failure('misconfigured', 'The load is driven by k6: put the Go toolchain on PATH to build it.');
  const folder = await withCacheEntry(`k6/${version}`, async (unfinished) => {
    say(`building k6 ${version}, which takes minutes`);
    const env = { ...process.env, GOBIN: unfinished, GOTOOLCHAIN: 'local', CGO_ENABLED: '0' };
    const args = ['-n', '10', 'go', 'install', '-trimpath', `go.k6.io/k6@${version}`];
    await promisify(execFile)('nice', args, { env, timeout: 900_000 });
  });
  return join(folder, 'k6');
}
