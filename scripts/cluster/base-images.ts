import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, copyFile, cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { BuiltPrograms } from '#shared/sandbox/go/go-programs.ts';
import { ensureOdooRoot, ODOO_USER } from '#shared/sandbox/odoo/debian-root.ts';
import type { ClusterBinaries } from './binaries.ts';
import { eventingPrograms, servingPrograms } from './binaries.ts';
import { hashOfFile, type ImageConfig, importImage, listImages, packLayer } from './images.ts';
import { type Places, registry } from './places.ts';

const run = promisify(execFile);

/** Node 24 alone, for functions: no shell, user 1000, working directory /app. */
export const nodeImage = `${registry}/node:${process.versions.node}`;
/** The real Odoo 19. */
export const odooImage = `${registry}/odoo:19`;

/** The reference of a program's image, such as `fleet.local/serving-queue:v0.50.0-1a2b3c4d5e6f`. */
export function programImage(name: string, { version, key }: BuiltPrograms): string {
  return `${registry}/${name}:${version}-${key}`;
}

/** Images that every node has: the holder of pods, DNS, Node. */
export async function ensureBaseImages(places: Places, programs: ClusterBinaries): Promise<void> {
  const present = await listImages();
  const ensure = imageMaker(places, present);
  await ensure(`${registry}/pause:1`, (root) => program(root, join(programs.pause.folder, 'pause')));
  const coredns = join(programs.coredns.folder, 'coredns');
  await ensure(programImage('coredns', programs.coredns), (root) => program(root, coredns));
  await ensure(nodeImage, (root) => nodeRoot(root, process.execPath));
}

/** Images of Knative's programs. */
export async function ensureKnativeImages(places: Places, { serving, eventing }: ClusterBinaries): Promise<void> {
  const ensure = imageMaker(places, await listImages());
  for (const name of servingPrograms) {
    await ensure(programImage(`serving-${name}`, serving), (root) => program(root, join(serving.folder, name)));
  }
  for (const name of eventingPrograms) {
    await ensure(programImage(`eventing-${name}`, eventing), (root) => program(root, join(eventing.folder, name)));
  }
}

/** The real Odoo 19 as an image, from the same Debian root as the sandbox's; made on first use. */
export async function ensureOdooImage(places: Places, options: { say: (line: string) => void }): Promise<string> {
  const root = await ensureOdooRoot({ onProgress: options.say });
  const reference = `${odooImage}-${createHash('sha256').update(basename(root)).digest('hex').slice(0, 8)}`;
  if ((await listImages()).has(reference)) return reference;
  options.say('importing Odoo 19 ...');
  await withTemporary(places, async (folder) => {
    const layer = join(folder, 'layer.tar');
    await packLayer(root, layer, { keepOwners: true });
    const config: ImageConfig = {
      Entrypoint: ['/usr/bin/odoo'],
      User: `${ODOO_USER.uid}:${ODOO_USER.gid}`,
      WorkingDir: '/var/lib/odoo',
      Env: [
        'PATH=/usr/bin:/bin',
        'HOME=/var/lib/odoo',
        'LANG=C.UTF-8',
        'PYTHONDONTWRITEBYTECODE=1',
        'PYTHONUNBUFFERED=1',
      ],
    };
    await importImage({ reference, config, layer, temporary: places.temporary });
  });
  return reference;
}

/**
 * An image of a folder with a bundle on top of Node 24, in the node's store. Without a tag in `name` the tag is made from the
 * content: a changed bundle has a new reference, and so a new Knative revision; an unchanged one has the same.
 * @param bundle.entry the file to run; else the first of main.js, main.mjs, index.js, index.mjs.
 * @param bundle.programs of this machine, with all they are linked with: the bundle runs them by their names.
 */
export async function importBundle(
  places: Places,
  bundle: { name: string; folder: string; entry?: string; programs?: readonly string[] },
): Promise<string> {
  const { name, folder, programs = [] } = bundle;
  const files = await readdir(folder);
  const entry =
    bundle.entry ?? ['main.js', 'main.mjs', 'main.ts', 'index.js', 'index.mjs'].find((one) => files.includes(one));
  if (entry === undefined || !files.includes(entry)) throw new Error(`${folder} has no ${entry ?? 'main.js'} to run`);
  return withTemporary(places, async (temporary) => {
    const root = join(temporary, 'root');
    const filter = (file: string) => !file.endsWith('.test.ts');
    await cp(folder, join(root, 'app'), { recursive: true, dereference: true, filter });
    // Bundles are ES modules; without this Node would have to guess it from their text at each start.
    if (!files.includes('package.json')) await writeFile(join(root, 'app', 'package.json'), '{"type":"module"}\n');
    for (const file of programs) await copyProgram(root, { file, to: `usr/bin/${basename(file)}` });
    await run('chmod', ['-R', 'a+rX,go-w', root]);
    // not as its command, which a pod's own arguments would replace
    const entrypoint = ['/usr/bin/node', entry];
    const layer = join(temporary, 'layer.tar');
    await packLayer(root, layer);
    const hash = createHash('sha256')
      .update(`${await hashOfFile(layer)} ${entrypoint.join(' ')}`)
      .digest('hex');
    const reference = `${registry}/${name.includes(':') ? name : `${name}:${hash.slice(0, 12)}`}`;
    if (name.includes(':') || !(await listImages()).has(reference)) {
      await importImage({ reference, base: nodeImage, config: { Entrypoint: entrypoint }, layer, temporary });
    }
    return reference;
  });
}

function imageMaker(places: Places, present: ReadonlySet<string>) {
  return async (reference: string, fill: (root: string) => Promise<ImageConfig>): Promise<void> => {
    if (present.has(reference)) return;
    await withTemporary(places, async (folder) => {
      const root = join(folder, 'root');
      await mkdir(root);
      const config = await fill(root);
      const layer = join(folder, 'layer.tar');
      await packLayer(root, layer);
      await importImage({ reference, config, layer, temporary: places.temporary });
    });
  };
}

/** One static program and nothing else. Knative's programs look for data files where KO_DATA_PATH says. */
async function program(root: string, file: string): Promise<ImageConfig> {
  await mkdir(join(root, 'kodata'), { recursive: true });
  await mkdir(join(root, 'tmp'));
  await chmod(join(root, 'tmp'), 0o1777);
  await copyFile(file, join(root, 'app'));
  await chmod(join(root, 'app'), 0o755);
  return { Entrypoint: ['/app'], User: '65532:65532', Env: ['PATH=/', 'KO_DATA_PATH=/kodata'] };
}

/** Node and the few libraries it is linked with. */
async function nodeRoot(root: string, node: string): Promise<ImageConfig> {
  for (const name of ['app', 'etc', 'tmp', 'usr/bin']) await mkdir(join(root, name), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await copyProgram(root, { file: node, to: 'usr/bin/node' });
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/none\nnode:x:1000:1000:node:/app:/none\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnode:x:1000:\n');
  await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  return {
    Entrypoint: ['/usr/bin/node'],
    User: '1000:1000',
    WorkingDir: '/app',
    Env: ['PATH=/usr/bin:/bin', 'NODE_ENV=production'],
  };
}

/** Copies a program and the libraries it is linked with. */
async function copyProgram(root: string, { file, to }: { file: string; to: string }): Promise<void> {
  const copy = async (from: string, place: string) => {
    await mkdir(dirname(join(root, place)), { recursive: true });
    await copyFile(from, join(root, place));
    await chmod(join(root, place), 0o755);
  };
  await copy(file, to);
  const { stdout } = await run('ldd', [file]);
  for (const [, linked, loader] of stdout.matchAll(/=> (\/\S+)|^\s+(\/\S+) \(/gm)) {
    const library = linked ?? loader;
    if (library !== undefined) await copy(library, library);
  }
}

async function withTemporary<T>(places: Places, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(places.temporary, { recursive: true });
  const folder = await mkdtemp(join(places.temporary, 'root-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
