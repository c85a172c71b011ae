// Builds images by the Dockerfile where no image can be pulled, and runs one: `node scripts/build/prove-image.ts [FUNCTION]`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cacheFolder } from '#shared/sandbox/cache-folder.ts';
import { ensurePackages } from '#shared/sandbox/packages.ts';
import { freePort } from '#shared/sandbox/servers/free-port.ts';
import { buildah, ensureBaseImage } from './image-base.ts';
import { runProgram } from './run-program.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const usage = `Usage: node scripts/build/prove-image.ts [FUNCTION] [--worker] [--migrate] [--json]

Builds the image of a function (default provision) by the Dockerfile with buildah, as root on Debian, on a base made of
Debian's packages and this Node; runs it as its own user, asks /healthz and /readyz, ends it, and reports its size.

  --worker   build the worker image, too, and look for its programs
  --migrate  build the migration Job's image, too, and run its program
  --json     print one JSON document last

Exit codes: 0 proven, 1 something failed, 2 wrong options. The base is kept in the cache folder.
`;
const buildTimeoutMs = 15 * 60_000;
const short = { timeoutMs: 120_000 };

type Proof = {
  image: string;
  mebibytes: { whole: number; own: number };
  user: string;
  healthz: number;
  readyz: number;
};

async function build(base: string, options: { name: string; target: string }): Promise<string> {
  const { name, target } = options;
  const tag = `localhost/odoo-fleet/${name}:${target}`;
  const args = ['--build-arg', `BASE=${base}`, '--build-arg', `FUNCTION=${name}`, '--target', target, '--tag', tag];
  // no layer is kept: without a file system that shares them each is a whole copy
  const how = ['--isolation', 'chroot', '--format', 'docker', '--layers=false', '--quiet'];
  await buildah(['build', ...how, ...args, root], { timeoutMs: buildTimeoutMs });
  return tag;
}

async function prove(image: string): Promise<Proof> {
  const container = await buildah(['from', image], short);
  const work = await mkdtemp(join(tmpdir(), 'fleet-image-'));
  try {
    const mounted = await buildah(['mount', container], short);
    const user = await buildah(['inspect', '--type', 'image', '--format', '{{.Docker.Config.User}}', image], short);
    const healthcheck = await buildah(
      ['inspect', '--type', 'image', '--format', '{{.Docker.Config.Healthcheck}}', image],
      short,
    );
    if (!/^[1-9]\d*:[1-9]\d*$/.test(user)) throw new Error(`the image's user is ${user}, not a number other than 0`);
    if (!healthcheck.includes('/healthz')) throw new Error('the image has no HEALTHCHECK');
    const mebibytes = { whole: await sizeOf(mounted), own: await sizeOf(join(mounted, 'app')) };
    return { image, user, mebibytes, ...(await ask(container, work)) };
  } finally {
    await buildah(['rm', container], short);
    await rm(work, { recursive: true });
  }
}

/** Runs the container's program with its own user and asks its probes. */
async function ask(container: string, work: string): Promise<{ healthz: number; readyz: number }> {
  const port = await freePort();
  await writeFile(join(work, 'password'), 'not a secret', { mode: 0o644 });
  await runProgram('chmod', ['755', work], short);
  const settings = {
    PORT: String(port),
    PLATFORM_POSTGRES_HOST: '127.0.0.1',
    PLATFORM_POSTGRES_PASSWORD_FILE: '/mnt/secrets/password',
    ODOO_POSTGRES_PASSWORDS_DIR: '/mnt/secrets',
    BROKER_URL: 'http://127.0.0.1:9/',
  };
  const store = join(cacheFolder(), 'image-store');
  const env = Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  const own = ['--root', store, '--runroot', join(store, 'run'), '--storage-driver', 'vfs'];
  const args = [...own, 'run', '--isolation', 'chroot', ...env, '--volume', `${work}:/mnt/secrets:ro`];
  // a session of its own: what it starts is ended with it, by its group
  const running = spawn('buildah', [...args, container, '--', 'node', 'main.js'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(running, 'exit');
  let said = '';
  for (const stream of [running.stdout, running.stderr])
    stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  try {
    const healthz = await firstStatus(`http://127.0.0.1:${port}/healthz`, () => running.exitCode === null);
    const readyz = (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
    if (/function\.cache/.test(said)) throw new Error('the compiled code was refused');
    return { healthz, readyz };
  } catch (cause) {
    throw new Error(`the function did not answer in its image:\n${said}`, { cause });
  } finally {
    if (running.pid !== undefined && running.exitCode === null) process.kill(-running.pid, 'SIGTERM');
    await ended;
  }
}

async function firstStatus(url: string, isRunning: () => boolean): Promise<number> {
  for (const deadline = performance.now() + 60_000; isRunning() && performance.now() < deadline; await delay(100)) {
    const status = await fetch(url).then(
      (answer) => answer.status,
      () => undefined, // nobody listens yet
    );
    if (status !== undefined) return status;
  }
  throw new Error(`${url} did not answer within 60 s`);
}

async function sizeOf(folder: string): Promise<number> {
  const text = await runProgram('du', ['--summarize', '--block-size=1M', folder], short);
  return Number.parseInt(text, 10);
}

/** In the worker image are programs that no other image has. */
async function proveWorker(worker: string, functionImage: string): Promise<void> {
  for (const [image, isWanted] of [
    [worker, true],
    [functionImage, false],
  ] as const) {
    const container = await buildah(['from', image], short);
    const look = [
      'run',
      '--isolation',
      'chroot',
      container,
      '--',
      'sh',
      '-c',
      '(command -v pg_dump; command -v zstd) | wc -l',
    ];
    const found = Number(await buildah(look, short));
    await buildah(['rm', container], short);
    if (found !== (isWanted ? 2 : 0)) throw new Error(`${image} has ${found} of pg_dump and zstd`);
  }
}

/** Its program starts with nothing but what is in the image. */
async function proveMigration(image: string): Promise<void> {
  const container = await buildah(['from', image], short);
  const program = ['node', '/app/main.js', '--help'];
  const said = await buildah(['run', '--isolation', 'chroot', container, '--', ...program], short);
  await buildah(['rm', container], short);
  if (!said.includes('PLATFORM_POSTGRES_DIRECT_HOST')) throw new Error(`${image} does not say its settings: ${said}`);
}

async function main(name: string, options: { worker: boolean; migrate: boolean; json: boolean }): Promise<void> {
  const say = (message: string) => void process.stderr.write(`${message}\n`);
  if (process.getuid?.() !== 0) throw new Error('Only root can build images here. Elsewhere: docker build .');
  await ensurePackages(['buildah']);
  const base = await ensureBaseImage(say);
  try {
    await proveAll(name, { ...options, base, say });
  } finally {
    // the base stays; what was built of it is large
    const built = await buildah(['images', '--quiet', '--filter', 'reference=localhost/odoo-fleet/*'], short);
    if (built !== '') await buildah(['rmi', '--force', ...new Set(built.split('\n'))], short);
    await buildah(['rmi', '--prune', '--force'], short);
  }
}

async function proveAll(
  name: string,
  options: { base: string; worker: boolean; migrate: boolean; json: boolean; say: (message: string) => void },
): Promise<void> {
  const { base, say } = options;
  say(`building the image of ${name}`);
  const image = await build(base, { name, target: 'function' });
  const proof = await prove(image);
  if (options.worker) {
    say('building the worker image');
    const worker = await build(base, { name, target: 'worker' });
    await proveWorker(worker, image);
  }
  if (options.migrate) {
    say('building the image of the migration Job');
    await proveMigration(await build(base, { name, target: 'migrate' }));
  }
  const { whole, own } = proof.mebibytes;
  say(
    `${image}: ${whole} MiB, ${own} MiB of them ours; user ${proof.user}; /healthz ${proof.healthz}, /readyz ${proof.readyz}`,
  );
  if (options.json) process.stdout.write(`${JSON.stringify(proof, null, 2)}\n`);
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      worker: { type: 'boolean', default: false },
      migrate: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) process.stdout.write(usage);
  else await main(positionals[0] ?? 'provision', values);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
