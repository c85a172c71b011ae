// Runs a program of this repository on Node 24, after installing what package-lock.json names when that is not there.
// Plain JavaScript without dependencies, for Node 20 and later: it is what runs before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const programs = {
  local: 'scripts/local/main.ts',
  test: 'scripts/test/main.ts',
  check: 'scripts/checks/main.ts',
  bench: 'scripts/bench/main.ts',
  build: 'scripts/build/main.ts',
  cluster: 'scripts/cluster/main.ts',
  fleet: 'scripts/fleet/main.ts',
  migrate: 'scripts/migrate.ts',
};

const [name, ...args] = process.argv.slice(2);
const program = programs[name];
if (program === undefined) {
  console.error(`Usage: node scripts/run.mjs ${Object.keys(programs).join('|')} [options]`);
  process.exit(2);
}

const stamp = join(root, 'node_modules', '.installed');
const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  console.error('Installing dependencies ...');
  // The versions of the lock file, which stays as it is. `npm ci` would be the word for it, but it refuses a lock file
  // that was written where some optional packages for other platforms could not be had. Install scripts must run:
  // the package `node` fetches Node 24 by one.
  const options = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const install = spawnSync('npm', options, { cwd: root, stdio: ['ignore', 2, 2] });
  if (install.status !== 0) {
    console.error('npm install failed. Check the network and the npm registry setting, then run this again.');
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}

const node = join(root, 'node_modules', '.bin', 'node');
const child = spawn(node, [join(root, program), ...args], { cwd: process.cwd(), stdio: 'inherit' });
// A terminal sends Ctrl-C to the whole group; a supervisor sends SIGTERM to this process only.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
