import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '#shared/sandbox/cache-folder.ts';
import { withBuildLock } from './build-lock.ts';

const run = promisify(execFile);
const moduleFolder = join(import.meta.dirname, 'go', 'kubernetes');
const programs = ['kube-apiserver', 'kube-controller-manager'] as const;
/** A first build takes 5 to 9 minutes on two busy cores. */
const buildTimeoutMs = 45 * 60_000;

export type ControlPlaneBinaries = { apiServer: string; controllerManager: string };

/** Why the programs cannot be built here, or undefined. Programs that are in the cache need no Go. */
export async function controlPlaneObstacle(): Promise<string | undefined> {
  const goVersion = await findGo();
  if (goVersion) return undefined;
  return 'the Go toolchain is not on PATH, so the real kube-apiserver cannot be built';
}

/** The real kube-apiserver and kube-controller-manager, built from the Go module proxy into the cache folder once per version. */
export async function ensureControlPlaneBinaries(): Promise<ControlPlaneBinaries> {
  const goVersion = await findGo();
  if (!goVersion) throw new Error('Go is not on PATH: install Go 1.24 or newer');
  const { version, key } = await identify(goVersion);
  const parent = join(cacheFolder(), 'kubernetes');
  const folder = join(parent, `${version}-${key}`);
  if (!(await exists(folder))) {
    await mkdir(parent, { recursive: true });
    await withBuildLock(
      `${folder}.lock`,
      async () => {
        if (!(await exists(folder))) await build(version, folder);
      },
      { timeoutMs: buildTimeoutMs },
    );
  }
  return {
    apiServer: join(folder, 'kube-apiserver'),
    controllerManager: join(folder, 'kube-controller-manager'),
  };
}

async function findGo(): Promise<string | undefined> {
  try {
    return (await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'])).stdout.trim().replaceAll('\n', ' ');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function identify(goVersion: string): Promise<{ version: string; key: string }> {
  const goMod = await readFile(join(moduleFolder, 'go.mod'), 'utf8');
  const goSum = await readFile(join(moduleFolder, 'go.sum'), 'utf8');
  const version = /k8s\.io\/kubernetes (v\S+)/.exec(goMod)?.[1];
  if (!version) throw new Error(`${moduleFolder}/go.mod does not name k8s.io/kubernetes`);
  const key = createHash('sha256')
    .update([goMod, goSum, goVersion, ...programs].join('\0'))
    .digest('hex')
    .slice(0, 12);
  return { version, key };
}

/** Builds beside the final place and renames, so that a half-built folder is never taken for a whole one. */
async function build(version: string, folder: string): Promise<void> {
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  const stamp = 'k8s.io/component-base/version';
  const flags = `-s -w -X ${stamp}.gitVersion=${version} -X ${stamp}.gitMajor=1 -X ${stamp}.gitMinor=${version.split('.')[1]}`;
  const child = spawn(
    'nice',
    [
      '-n',
      '10',
      'go',
      'build',
      '-mod=readonly',
      '-trimpath',
      '-buildvcs=false',
      '-ldflags',
      flags,
      '-o',
      `${unfinished}/`,
    ].concat(programs.map((program) => `k8s.io/kubernetes/cmd/${program}`)),
    {
      cwd: moduleFolder,
      env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '', GOWORK: 'off' },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let tail = '';
  child.stderr.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-2000);
  });
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  if (code !== 0) throw new Error(`go build of the Kubernetes control plane ended with ${code}: ${tail}`);
  await rename(unfinished, folder);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
