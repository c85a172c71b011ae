import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Folders that hold servers but are often missing in an ordinary user's PATH. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The path of a program on PATH or in the system's folders. */
export async function findProgram(name: string): Promise<string | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...SYSTEM_FOLDERS];
  for (const folder of folders) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

/** The path of a program; its Debian package is installed first where it is missing (see `ensurePackages`). */
export async function ensureProgram(name: string, packageName: string): Promise<string> {
  const found = await findProgram(name);
  if (found !== undefined) return found;
  await ensurePackages([packageName]);
  const installed = await findProgram(name);
  if (installed === undefined) throw new Error(`package ${packageName} is installed but has no program ${name}`);
  return installed;
}

/**
 * Installs what is missing of these packages. As root on Debian or Ubuntu only; starts no daemon and makes no database
 * cluster. Two at once wait for each other.
 * @throws Error that says what to install, when this is another system or not root, or when apt-get fails.
 */
export async function ensurePackages(names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!/^[a-z0-9][a-z0-9.+-]+$/.test(name)) throw new Error(`not a package name: ${JSON.stringify(name)}`);
  }
  if (!(await isDebian())) throw new Error(`please install ${names.join(', ')} with this system's package manager`);
  const missing = await missingPackages(names);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    throw new Error(`missing: ${missing.join(', ')}. Run this as root: apt-get install ${missing.join(' ')}`);
  }
  await run('flock', [LOCK_FILE, 'sh', '-c', INSTALL, 'install', ...missing], {
    env: { PATH: SYSTEM_FOLDERS.join(':'), DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8', ...aptProxies() },
    maxBuffer: 64 * 1024 * 1024,
  }).catch((cause: Error & { stderr?: string; stdout?: string }) => {
    const lastLines = `${cause.stdout ?? ''}\n${cause.stderr ?? ''}`.trim().split('\n').slice(-5).join('\n');
    throw new Error(`apt-get could not install ${missing.join(', ')}:\n${lastLines}`, { cause });
  });
}

const LOCK_FILE = '/run/lock/odoo-fleet-packages';

// invoke-rc.d asks policy-rc.d before it starts a daemon; 101 forbids. A policy that already forbids is left alone, another
// one is put aside meanwhile. An earlier run that was killed has left its own behind: it is known by its second line.
// The first attempt goes without `update`: where the lists are fresh it saves seconds.
const INSTALL = `
set -e
policy=/usr/sbin/policy-rc.d
aside=$policy.before-odoo-fleet
restore() {
  if grep -qs '^# by odoo-fleet$' $policy; then rm -f $policy; fi
  if [ -e $aside ]; then mv $aside $policy; fi
}
forbids() { [ -x $policy ] && { code=0; $policy nothing start >/dev/null 2>&1 || code=$?; [ $code = 101 ]; }; }
restore
trap restore EXIT
if ! forbids; then
  if [ -e $policy ]; then mv $policy $aside; fi
  printf '#!/bin/sh\\n# by odoo-fleet\\nexit 101\\n' >$policy
  chmod 755 $policy
fi
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi
get() {
  apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}
install() { get install -y --no-install-recommends "$@"; }
install "$@" || { get update && install "$@"; }
`;

async function isDebian(): Promise<boolean> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release) && (await findProgram('apt-get')) !== undefined;
}

async function missingPackages(names: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    names.map((name) =>
      run('dpkg-query', ['-W', '-f', '$' + '{Status}', name]).then(
        ({ stdout }) => stdout.startsWith('install ok installed'),
        () => false, // unknown to dpkg
      ),
    ),
  );
  return names.filter((_, index) => !found[index]);
}

/** apt reads these variables; machines without direct access to a mirror depend on them. */
function aptProxies(): Record<string, string> {
  const names = ['http_proxy', 'https_proxy', 'no_proxy', 'APT_CONFIG'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name] as string]] : [])));
}
