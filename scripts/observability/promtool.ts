import { execFile } from 'node:child_process';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withCacheEntry } from '#shared/sandbox/cache-folder.ts';
import { findProgram } from '#shared/sandbox/packages.ts';

const run = promisify(execFile);

/**
 * Prometheus' promtool: the one on PATH, else that of Debian's package `prometheus`, unpacked into the cache folder. The
 * package is not installed: nothing is started, and no root is needed.
 * @throws Error that says in a line why there is none.
 */
export async function promtool(): Promise<string> {
  const found = await findProgram('promtool');
  if (found !== undefined) return found;
  if ((await findProgram('apt-get')) === undefined || (await findProgram('dpkg-deb')) === undefined) {
    throw new Error('there is no promtool on PATH, and this is no Debian to take it from: install Prometheus');
  }
  return join(await withCacheEntry(`promtool/${process.arch}`, unpack), 'promtool');
}

async function unpack(folder: string): Promise<void> {
  const download = () => run('apt-get', ['-q', 'download', 'prometheus'], { cwd: folder });
  await download().catch(async (first: Error) => {
    // lists that are missing or old; only root may get new ones
    if (process.getuid?.() !== 0) throw unavailable(first);
    await run('apt-get', ['-q', 'update'])
      .then(download)
      .catch((second: Error) => {
        throw unavailable(second);
      });
  });
  const [deb] = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
  if (deb === undefined) throw new Error('apt-get has downloaded no package prometheus');
  const whole = join(folder, 'whole');
  await mkdir(whole);
  await run('dpkg-deb', ['-x', join(folder, deb), whole]);
  await rename(join(whole, 'usr/bin/promtool'), join(folder, 'promtool'));
  await Promise.all([rm(whole, { recursive: true }), rm(join(folder, deb))]);
}

function unavailable(cause: Error & { stderr?: string }): Error {
  const reason = (cause.stderr ?? cause.message).trim().split('\n').at(-1) ?? '';
  return new Error(`the package prometheus could not be downloaded: ${reason}`, { cause });
}
