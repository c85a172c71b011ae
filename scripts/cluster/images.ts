import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { containerdSocket } from './places.ts';

const run = promisify(execFile);

/** The part of an image's configuration that this project sets, in the words of the OCI image specification. */
export type ImageConfig = {
  Entrypoint?: string[];
  Cmd?: string[];
  User?: string;
  Env?: string[];
  WorkingDir?: string;
};

type FullConfig = {
  architecture: string;
  os: string;
  config: ImageConfig;
  rootfs: { type: 'layers'; diff_ids: string[] };
};

type Descriptor = { mediaType: string; digest: string; size: number };
type Manifest = { schemaVersion: 2; mediaType: string; config: Descriptor; layers: Descriptor[] };

const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

const ctr = ['-a', containerdSocket, '-n', 'k8s.io'];

/** The references of the images in the node's store. */
export async function listImages(): Promise<Set<string>> {
  const { stdout } = await run('ctr', [...ctr, 'images', 'ls', '-q'], { timeout: 60_000 });
  return new Set(stdout.split('\n').filter(Boolean));
}

/**
 * Packs a folder into a tar file: the same bytes for the same files, whoever owns them and whenever they were written.
 * @param keepOwners for a whole root file system, whose owners and modification times mean something.
 */
export async function packLayer(folder: string, file: string, options: { keepOwners?: boolean } = {}): Promise<void> {
  const owners = options.keepOwners ? [] : ['--owner=0', '--group=0', '--mtime=@0'];
  const devices = ['--exclude=./dev/*', '--exclude=./proc/*', '--exclude=./sys/*'];
  await run('tar', ['-C', folder, '--sort=name', '--numeric-owner', ...owners, ...devices, '-cf', file, '.']);
}

export async function hashOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/**
 * Puts an image into the node's store: the layers of `base`, which are there already, and one more. No daemon builds it
 * and no registry holds it. `config` goes over that of the base. `layer` is moved away.
 */
export async function importImage(options: {
  reference: string;
  base?: string;
  config: ImageConfig;
  layer: string;
  temporary: string;
}): Promise<void> {
  const { reference, base, config, layer, temporary } = options;
  await mkdir(temporary, { recursive: true });
  const folder = await mkdtemp(join(temporary, 'image-'));
  try {
    const blobs = join(folder, 'blobs', 'sha256');
    await mkdir(blobs, { recursive: true });
    const before = base === undefined ? undefined : await readImage(base);
    const layerHash = await hashOfFile(layer);
    const layerSize = (await stat(layer)).size;
    await rename(layer, join(blobs, layerHash));
    const add = async (value: unknown, mediaType: string): Promise<Descriptor> => {
      const text = JSON.stringify(value);
      const hash = createHash('sha256').update(text).digest('hex');
      await writeFile(join(blobs, hash), text);
      return { mediaType, digest: `sha256:${hash}`, size: Buffer.byteLength(text) };
    };
    const full: FullConfig = {
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { ...before?.config.config, ...config },
      rootfs: {
        type: 'layers',
        diff_ids: [...(before?.config.rootfs.diff_ids ?? []), `sha256:${layerHash}`],
      },
    };
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: await add(full, mediaTypes.config),
      layers: [
        ...(before?.manifest.layers ?? []),
        { mediaType: mediaTypes.layer, digest: `sha256:${layerHash}`, size: layerSize },
      ],
    };
    const entry = {
      ...(await add(manifest, mediaTypes.manifest)),
      platform: { architecture: full.architecture, os: full.os },
      annotations: { 'io.containerd.image.name': reference, 'org.opencontainers.image.ref.name': reference },
    };
    await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
    await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await importFolder(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** As a stream: an image of a gigabyte is not written a second time. */
async function importFolder(folder: string): Promise<void> {
  const archive = spawn('tar', ['-C', folder, '-cf', '-', 'oci-layout', 'index.json', 'blobs'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const importer = spawn('ctr', [...ctr, 'images', 'import', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
  let message = '';
  importer.stderr.on('data', (chunk: Buffer) => {
    message = (message + chunk.toString()).slice(-1000);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    importer.once('error', reject).once('close', resolve);
  });
  // When the importer gives up, its pipe breaks; its exit code and message say why.
  await pipeline(archive.stdout, importer.stdin).catch(() => undefined);
  const code = await ended;
  if (code !== 0) throw new Error(`containerd did not take the image (${code}): ${message}`);
}

async function readImage(reference: string): Promise<{ manifest: Manifest; config: FullConfig }> {
  const { stdout } = await run('ctr', [...ctr, 'images', 'ls', `name==${reference}`]);
  const digest = stdout.split('\n')[1]?.split(/\s+/)[2];
  if (digest === undefined) throw new Error(`the node has no image ${reference}`);
  const blob = async (name: string) => (await run('ctr', [...ctr, 'content', 'get', name])).stdout;
  const manifest = JSON.parse(await blob(digest)) as Manifest;
  return { manifest, config: JSON.parse(await blob(manifest.config.digest)) as FullConfig };
}
