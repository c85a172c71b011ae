import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { withCacheEntry } from '../cache-folder.ts';
import { ensurePackages, findProgram } from '../packages.ts';

const run = promisify(execFile);

/** Raised when what the root holds changes; a root of another version is made anew. */
const ROOT_VERSION = 1;

/** The user of the image, as in the root's own /etc/passwd. */
export const ODOO_USER = { uid: 101, gid: 101 } as const;

/**
 * The Debian root file system with Odoo 19 in the cache folder; made on first use from Debian's packages (about two minutes,
 * 2.2 GB while it is made, then 1 GB). Base system and Python from trixie, Odoo from sid: sid's own Python is too new for it.
 * @param onProgress is told what goes on, a line at a time.
 * @throws Error when this is not root on Debian or Ubuntu, or when a step fails, with the last lines it printed.
 */
export async function ensureOdooRoot(options: { onProgress?: (line: string) => void } = {}): Promise<string> {
  const { onProgress = () => undefined } = options;
  // to run it takes root as well: chroot
  if (process.getuid?.() !== 0) throw new Error(NEEDS_ROOT);
  const languages = keptLanguages();
  const key = ['odoo/root-19', ROOT_VERSION, ...languages].join('-');
  return withCacheEntry(key, async (folder) => {
    await ensurePackages(['debootstrap', 'debian-archive-keyring', 'util-linux', 'xz-utils']);
    const mirror = await debianMirror();
    await build(folder, { mirror, languages, onProgress });
    onProgress('checking that Odoo starts ...');
    const { stdout } = await run('chroot', [folder, '/usr/bin/odoo', '--version'], { env: { PATH: SYSTEM_PATH } });
    if (!/\b19\.0/.test(stdout)) throw new Error(`the Debian root has ${JSON.stringify(stdout.trim())}, not Odoo 19`);
    onProgress(stdout.trim());
  });
}

const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
const NEEDS_ROOT =
  'no Odoo 19: there is none on PATH, and only root can install it from Debian packages. ' +
  'Install Odoo 19 as the program "odoo", run this as root on Debian or Ubuntu, or use the stand-in';

/** Translations that stay; all of them together are 830 MB. */
function keptLanguages(): string[] {
  const languages = (process.env['ODOO_LANGUAGES'] ?? 'de es fr').split(/\s+/).filter(Boolean);
  for (const language of languages) {
    if (!/^[a-z]{2,3}$/.test(language)) throw new Error(`ODOO_LANGUAGES: not a language code: ${language}`);
  }
  return languages;
}

/** The mirror this machine's apt uses; debootstrap can take a base system from it. */
export async function debianMirror(): Promise<string> {
  const given = process.env['DEBIAN_MIRROR'];
  if (given) return given;
  if ((await findProgram('apt-get')) === undefined) throw new Error(NEEDS_ROOT);
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  const found = stdout.split('\n').find((line) => /\/debian\/?$/.test(line));
  if (found === undefined) throw new Error('apt knows no Debian mirror; set DEBIAN_MIRROR to the address of one');
  return found;
}

async function build(
  root: string,
  options: { mirror: string; languages: readonly string[]; onProgress: (line: string) => void },
): Promise<void> {
  const script = join(import.meta.dirname, 'debian-root.sh');
  // a mount namespace of its own: /proc and /dev inside the root go away with the script, however it ends
  const builder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', script, root, options.mirror], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: SYSTEM_PATH,
      HOME: '/root',
      LC_ALL: 'C.UTF-8',
      DEBIAN_FRONTEND: 'noninteractive',
      KEEP_LANGUAGES: options.languages.join(' '),
      ...proxies(),
    },
  });
  const lastLines: string[] = [];
  const ended = new Promise<number | null>((resolve, reject) => {
    builder.once('error', reject);
    builder.once('close', resolve);
  });
  for (const stream of [builder.stdout, builder.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (line.startsWith('== ')) options.onProgress(line.slice(3));
      if (lastLines.push(line) > 12) lastLines.shift();
    });
  }
  const code = await ended;
  if (code !== 0) throw new Error(`cannot make the Debian root with Odoo 19:\n${lastLines.join('\n')}`);
}

function proxies(): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy', 'APT_CONFIG'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name] as string]] : [])));
}
