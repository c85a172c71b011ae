import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../cache-folder.ts';
import { withBuildLock } from './build-lock.ts';

const run = promisify(execFile);

/** A first build of Kubernetes takes 5 to 9 minutes on two busy cores. */
const buildTimeoutMs = 45 * 60_000;

/** Programs of one Go module, whose go.mod and go.sum pin everything they are made of. */
export type GoPrograms = {
  /** The module's folder. Its name is that of the programs in messages. */
  module: string;
  /** The dependency whose version the programs carry; none for a program of our own. */
  versionOf?: string;
  /** Import paths of main packages. */
  packages: readonly string[];
  /** Folder in the cache that the programs' folder is made in, with version and key as its name. */
  cachedIn: string;
  /** For the linker, given the version. */
  linkerFlags?: (version: string) => string;
};

export type BuiltPrograms = {
  /** Holds each program under the last part of its import path. */
  folder: string;
  version: string;
  /** Changes when a program changes. */
  key: string;
};

/** Go's version and target in one line, or undefined when there is no Go. */
export async function findGo(): Promise<string | undefined> {
  try {
    return (await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'])).stdout.trim().replaceAll('\n', ' ');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Builds the programs from the Go module proxy into the cache folder, once for each version. Two at once wait for each other.
 * `say` is told when there is something to build.
 * @throws Error with the last lines of the compiler.
 */
export async function ensureGoPrograms(
  programs: GoPrograms,
  options: { say?: (line: string) => void } = {},
): Promise<BuiltPrograms> {
  const built = await identify(programs);
  if (await exists(built.folder)) return built;
  await mkdir(dirname(built.folder), { recursive: true });
  const work = async () => {
    if (await exists(built.folder)) return;
    const startedMs = performance.now();
    options.say?.(`building ${basename(programs.module)} ${built.version} with Go ...`);
    await build(programs, built);
    options.say?.(`built ${basename(programs.module)} in ${Math.round((performance.now() - startedMs) / 1000)} s`);
  };
  await withBuildLock(`${built.folder}.lock`, work, { timeoutMs: buildTimeoutMs });
  return built;
}

async function identify({ module, versionOf, packages, cachedIn }: GoPrograms): Promise<BuiltPrograms> {
  const goVersion = await findGo();
  if (goVersion === undefined) throw new Error('Go is not on PATH: install Go 1.25 or newer');
  const goMod = await readFile(join(module, 'go.mod'), 'utf8');
  const goSum = await readOptional(join(module, 'go.sum'));
  const source = await readOptional(join(module, 'main.go'));
  const pinned = versionOf === undefined ? undefined : new RegExp(`${versionOf} (v\\S+)`).exec(goMod)?.[1];
  if (versionOf !== undefined && pinned === undefined) throw new Error(`${module}/go.mod does not name ${versionOf}`);
  const version = pinned ?? 'v1';
  const parts = [goMod, goSum, goVersion, ...packages.map((name) => name.split('/').at(-1) ?? name)];
  const key = createHash('sha256')
    .update([...parts, ...(source === '' ? [] : [source])].join('\0'))
    .digest('hex')
    .slice(0, 12);
  return { folder: join(cacheFolder(), cachedIn, `${version}-${key}`), version, key };
}

/** Builds beside the final place and renames, so that a half-built folder is never taken for a whole one. */
async function build({ module, packages, linkerFlags }: GoPrograms, { folder, version }: BuiltPrograms): Promise<void> {
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  const flags = `-s -w ${linkerFlags?.(version) ?? ''}`.trim();
  const options = ['-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags', flags, '-o', `${unfinished}/`];
  const child = spawn('nice', ['-n', '15', 'go', 'build', ...options, ...packages], {
    cwd: module,
    env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '', GOWORK: 'off' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let tail = '';
  child.stderr.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-2000);
  });
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  if (code !== 0) throw new Error(`go build of ${basename(module)} ended with ${code}: ${tail}`);
  await rename(unfinished, folder);
}

/** The folder of a dependency's source in Go's module cache; downloaded when it is not there. */
export async function goSourceFolder(module: string, dependency: string): Promise<string> {
  const options = {
    cwd: module,
    env: { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly', GOWORK: 'off' },
  };
  await run('go', ['mod', 'download', dependency], options);
  return (await run('go', ['list', '-m', '-f', '{{.Dir}}', dependency], options)).stdout.trim();
}

async function readOptional(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
