import { chmod, chown, lchown, lstat, mkdir, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { ConfigurationMissing, type Sources } from './environment.ts';
import type { KeyToPath, Pod, Volume } from './objects.ts';

export type VolumeContext = {
  /** The pod's own folder; it goes with the pod. */
  podFolder: string;
  /** The claim's folder, `undefined` while the claim is not bound. */
  claimFolder(claimName: string): Promise<string | undefined>;
  sources: Sources;
  /** Only root may give files to a pod's group; otherwise everything belongs to the node's own user. */
  isRoot: boolean;
  /** Applied to the text of configuration files: see `rewriteMountPaths`. */
  rewrite?: (text: string, folders: ReadonlyMap<string, string>) => string;
};

/** Files of Secrets and ConfigMaps in which a program finds further paths. Other files are passed on byte by byte. */
const configurationFile = /\.(cfg|conf|env|ini|json|toml|ya?ml)$/;
const defaultFileMode = 0o644;

type File = { path: string; bytes: Buffer; mode: number };

/**
 * Makes the folders of a pod's volumes. Contents of Secrets and ConfigMaps are those of this moment: unlike the kubelet's
 * they are not refreshed while the pod runs. Throws `ConfigurationMissing` for what is not there yet.
 */
export async function setUpVolumes(pod: Pod, context: VolumeContext): Promise<Map<string, string>> {
  const folders = new Map<string, string>();
  const filesOf = new Map<string, File[]>();
  for (const volume of pod.spec.volumes ?? []) {
    const { folder, files } = await locate(volume, context);
    folders.set(volume.name, folder);
    if (files !== undefined) filesOf.set(volume.name, files);
  }
  const fsGroup = pod.spec.securityContext?.fsGroup;
  for (const [name, folder] of folders) {
    const files = filesOf.get(name);
    if (files !== undefined) {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      for (const file of files) await writeVolumeFile(folder, file, { context, folders, fsGroup });
      continue;
    }
    await mkdir(folder, { recursive: true });
    if (context.isRoot) await share(folder, fsGroup);
  }
  await setUpSubPaths(pod, folders, (folder) => (context.isRoot ? share(folder, fsGroup) : Promise.resolve()));
  return folders;
}

/** A `subPath` that is not there yet becomes a folder. One that leads out of its volume by a link is refused. */
async function setUpSubPaths(
  pod: Pod,
  folders: ReadonlyMap<string, string>,
  prepare: (folder: string) => Promise<void>,
): Promise<void> {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  for (const { name, subPath } of containers.flatMap(({ volumeMounts = [] }) => volumeMounts)) {
    const folder = folders.get(name);
    if (folder === undefined || !subPath || !isInside(subPath)) continue; // told when the container is started
    const path = join(folder, subPath);
    if ((await mkdir(path, { recursive: true }).catch(ifExists)) !== undefined) await prepare(path);
    const [realFolder, realPath] = [await realpath(folder), await realpath(path)];
    if (!realPath.startsWith(`${realFolder}/`)) throw new ConfigurationMissing(`subPath ${subPath} leaves its volume`);
  }
}

/** The path names a file: of a Secret, say. */
function ifExists(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'EEXIST' && error.code !== 'ENOTDIR') throw error;
  return undefined;
}

async function locate(volume: Volume, context: VolumeContext): Promise<{ folder: string; files?: File[] }> {
  const folder = join(context.podFolder, 'volumes', volume.name);
  const { secret, configMap, projected, persistentVolumeClaim: claim } = volume;
  if (claim !== undefined) {
    const found = await context.claimFolder(claim.claimName);
    if (found === undefined) throw new ConfigurationMissing(`persistentvolumeclaim "${claim.claimName}" not found`);
    return { folder: found };
  }
  if (secret !== undefined) {
    const source = { secret: { ...secret, name: secret.secretName ?? '' } };
    return { folder, files: await projectedFiles([source], secret.defaultMode, context) };
  }
  if (configMap !== undefined) {
    const source = { configMap: { ...configMap, name: configMap.name ?? '' } };
    return { folder, files: await projectedFiles([source], configMap.defaultMode, context) };
  }
  if (projected !== undefined) {
    return { folder, files: await projectedFiles(projected.sources, projected.defaultMode, context) };
  }
  if (volume.emptyDir !== undefined) return { folder };
  throw new ConfigurationMissing(`volume "${volume.name}" is of a kind that is not supported here`);
}

type Projection = { name: string; items?: KeyToPath[]; optional?: boolean };
type ProjectionSource = { secret?: Projection; configMap?: Projection };

async function projectedFiles(
  sources: readonly ProjectionSource[],
  defaultMode: number | undefined,
  context: VolumeContext,
): Promise<File[]> {
  const files: File[] = [];
  for (const { secret, configMap } of sources) {
    const source = secret ?? configMap;
    if (source === undefined) throw new ConfigurationMissing('this source of a projected volume is not supported here');
    const contents = secret
      ? await secretContents(secret.name, context.sources)
      : await configMapContents(source.name, context.sources);
    if (contents === undefined) {
      if (source.optional === true) continue;
      throw new ConfigurationMissing(`${secret ? 'secret' : 'configmap'} "${source.name}" not found`);
    }
    files.push(...selectFiles(contents, source, defaultMode ?? defaultFileMode));
  }
  return files;
}

async function secretContents(name: string, sources: Sources): Promise<Map<string, Buffer> | undefined> {
  const secret = await sources.secret(name);
  if (secret === undefined) return undefined;
  return new Map(Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
}

async function configMapContents(name: string, sources: Sources): Promise<Map<string, Buffer> | undefined> {
  const configMap = await sources.configMap(name);
  if (configMap === undefined) return undefined;
  const text = Object.entries(configMap.data ?? {}).map(([key, value]) => [key, Buffer.from(value)] as const);
  const binary = Object.entries(configMap.binaryData ?? {}).map(
    ([key, value]) => [key, Buffer.from(value, 'base64')] as const,
  );
  return new Map([...text, ...binary]);
}

function selectFiles(contents: Map<string, Buffer>, source: Projection, defaultMode: number): File[] {
  const items = source.items ?? [...contents.keys()].map((key): KeyToPath => ({ key, path: key }));
  return items.flatMap(({ key, path, mode }) => {
    const bytes = contents.get(key);
    if (bytes === undefined && source.optional === true) return [];
    if (bytes === undefined) throw new ConfigurationMissing(`references non-existent key ${key} of ${source.name}`);
    if (!isInside(path)) throw new ConfigurationMissing(`path ${path} leaves the volume`);
    return [{ path, bytes, mode: mode ?? defaultMode }];
  });
}

/** A relative path that stays below its folder. */
export function isInside(path: string): boolean {
  const normal = normalize(path);
  return normal !== '..' && !normal.startsWith('../') && !normal.startsWith('/');
}

async function writeVolumeFile(
  folder: string,
  file: File,
  { context, folders, fsGroup }: { context: VolumeContext; folders: Map<string, string>; fsGroup: number | undefined },
): Promise<void> {
  const path = join(folder, file.path);
  await mkdir(dirname(path), { recursive: true });
  const isRewritten = context.rewrite !== undefined && configurationFile.test(file.path);
  const content = isRewritten ? context.rewrite?.(file.bytes.toString(), folders) : file.bytes;
  await writeFile(path, content ?? file.bytes, { mode: 0o400 });
  // As the kubelet does for fsGroup: the group may read. The owner may always, or a node that is not root locks itself out.
  await chmod(path, file.mode | 0o400 | (fsGroup === undefined ? 0 : 0o440));
  if (context.isRoot) await chown(path, 0, fsGroup ?? 0);
}

/**
 * Lets the pod's group write to a volume, as the kubelet does for fsGroup with fsGroupChangePolicy OnRootMismatch: a
 * large filestore is walked once, not at each start. Without fsGroup anyone may write, as in an emptyDir.
 */
async function share(folder: string, fsGroup: number | undefined): Promise<void> {
  if (fsGroup === undefined) return chmod(folder, 0o777);
  const top = await lstat(folder);
  if (top.gid === fsGroup && (top.mode & 0o2070) === 0o2070) return;
  for (const name of ['', ...(await readdir(folder, { recursive: true }))].reverse()) {
    const path = join(folder, name);
    const entry = await lstat(path);
    await lchown(path, entry.uid, fsGroup);
    // Set-group-id on folders: what is made inside keeps the group.
    if (!entry.isSymbolicLink()) await chmod(path, (entry.mode & 0o7777) | (entry.isDirectory() ? 0o2770 : 0o660));
  }
}
