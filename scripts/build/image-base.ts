import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, withCacheEntry } from '#shared/sandbox/cache-folder.ts';
import { debianMirror } from '#shared/sandbox/odoo/debian-root.ts';
import { ensurePackages } from '#shared/sandbox/packages.ts';
import { runProgram } from './run-program.ts';

const suite = 'bookworm';
const npmVersion = '11';
/** What the system trusts, so that npm inside reaches the same registries. */
const certificates = '/etc/ssl/certs/ca-certificates.crt';

/** How images are made here, in a store of our own in the cache folder: no daemon, no registry, no user namespaces. */
export async function buildah(args: readonly string[], options: { timeoutMs: number }): Promise<string> {
  const store = join(cacheFolder(), 'image-store');
  const own = ['--root', store, '--runroot', join(store, 'run'), '--storage-driver', 'vfs'];
  return await runProgram('buildah', [...own, ...args], options);
}

/**
 * An image like `node:24-slim`, made of Debian's packages and the Node that runs this: its name in buildah's store.
 * About four minutes the first time. @throws Error when this is not root on Debian, or when a step fails.
 */
export async function ensureBaseImage(say: (message: string) => void): Promise<string> {
  const name = `localhost/odoo-fleet-base:${suite}-node${process.version.slice(1)}-npm${npmVersion}`;
  if ((await buildah(['images', '--quiet', '--filter', `reference=${name}`], { timeoutMs: 60_000 })) !== '')
    return name;
  const root = await withCacheEntry(`image-base/${name.replace(/.*:/, '')}`, async (folder) => {
    say(`making a Debian root (${suite})`);
    await ensurePackages(['debootstrap', 'debian-archive-keyring']);
    await runProgram('debootstrap', ['--variant=minbase', suite, folder, await debianMirror()], {
      timeoutMs: 10 * 60_000,
    });
    await copyFile(process.execPath, join(folder, 'usr/local/bin/node'));
    const npm = [
      'install',
      '--global',
      '--prefix',
      join(folder, 'usr/local'),
      '--no-audit',
      '--no-fund',
      `npm@${npmVersion}`,
    ];
    await runProgram('npm', npm, { timeoutMs: 5 * 60_000 });
    await mkdir(join(folder, 'etc/ssl/certs'), { recursive: true });
    await copyFile(certificates, join(folder, certificates));
  });
  say('making the base image of it');
  const container = await buildah(['from', 'scratch'], { timeoutMs: 60_000 });
  const long = { timeoutMs: 5 * 60_000 };
  await buildah(['add', '--quiet', container, root, '/'], long);
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  await buildah(['config', '--env', path, '--env', `NODE_EXTRA_CA_CERTS=${certificates}`, container], long);
  await buildah(['commit', '--quiet', '--rm', '--format', 'docker', container, name], long);
  return name;
}
