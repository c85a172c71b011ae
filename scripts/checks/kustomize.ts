import { readFile, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import * as v from 'valibot';
import { parse, parseAllDocuments } from 'yaml';
import type { Json } from '#shared/sandbox/kubernetes/json.ts';
import { mergePatch } from '#shared/sandbox/kubernetes/merge-patch.ts';
import { patchJson, patchSchema } from './json-patch.ts';

/** An object as it would be applied. */
export type Manifest = {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
};

const manifestSchema = v.looseObject({
  apiVersion: v.string(),
  kind: v.string(),
  metadata: v.looseObject({
    name: v.string(),
    namespace: v.optional(v.string()),
    labels: v.optional(v.record(v.string(), v.string())),
    annotations: v.optional(v.record(v.string(), v.string())),
  }),
});

const target = v.strictObject({
  group: v.optional(v.string()),
  version: v.optional(v.string()),
  kind: v.optional(v.string()),
  name: v.optional(v.string()),
  namespace: v.optional(v.string()),
});
export type Target = v.InferOutput<typeof target>;

const image = v.strictObject({
  name: v.string(),
  newName: v.optional(v.string()),
  newTag: v.optional(v.string()),
  digest: v.optional(v.string()),
});

const configMapGenerator = v.strictObject({
  name: v.string(),
  namespace: v.optional(v.string()),
  files: v.array(v.string()),
  options: v.strictObject({
    // without it the name ends in a hash, and so do all references to it
    disableNameSuffixHash: v.literal(true),
    labels: v.optional(v.record(v.string(), v.string())),
  }),
});

const kustomizationSchema = v.strictObject({
  apiVersion: v.picklist(['kustomize.config.k8s.io/v1beta1', 'kustomize.config.k8s.io/v1alpha1']),
  kind: v.picklist(['Kustomization', 'Component']),
  resources: v.optional(v.array(v.string()), []),
  components: v.optional(v.array(v.string()), []),
  patches: v.optional(v.array(v.strictObject({ path: v.string(), target: v.optional(target) })), []),
  images: v.optional(v.array(image), []),
  configMapGenerator: v.optional(v.array(configMapGenerator), []),
});
export type Kustomization = v.InferOutput<typeof kustomizationSchema>;

/**
 * What `kubectl kustomize` makes of a folder, for the part of kustomize that our manifests use: resources, components, patches from
 * files (JSON patches with a target, merges without lists), images, and ConfigMaps of whole files. The tier with the real API server
 * compares the two.
 * @throws Error for every other field, and for a patch that changes nothing, which kustomize itself lets pass.
 */
export async function buildManifests(folder: string): Promise<Manifest[]> {
  return await accumulate(folder, []);
}

/** Puts a component on top of objects, as an overlay that lists it would. @throws Error as `buildManifests` does. */
export async function withComponent(objects: readonly Manifest[], folder: string): Promise<Manifest[]> {
  return await accumulate(folder, objects);
}

/** Reads the kustomization of a folder. @throws Error that names the file and the field. */
export async function readKustomization(folder: string): Promise<Kustomization> {
  const file = join(folder, 'kustomization.yaml');
  const result = v.safeParse(kustomizationSchema, parse(await readFile(file, 'utf8')));
  if (result.success) return result.output;
  const mistakes = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'file'}: ${issue.message}`);
  throw new Error(`${nameOf(file)}: ${mistakes.join('; ')}`);
}

async function accumulate(folder: string, before: readonly Manifest[]): Promise<Manifest[]> {
  const kustomization = await readKustomization(folder);
  let objects = [...before];
  for (const resource of kustomization.resources) objects.push(...(await readResource(join(folder, resource))));
  for (const generator of kustomization.configMapGenerator) objects.push(await configMapOf(generator, folder));
  refuseTwice(objects, folder);
  for (const component of kustomization.components) objects = await accumulate(join(folder, component), objects);
  for (const patch of kustomization.patches) {
    const file = join(folder, patch.path);
    objects = await applyPatch(objects, { file, target: patch.target });
  }
  return objects.map((object) => withImages(object, kustomization.images) as Manifest);
}

async function readResource(path: string): Promise<Manifest[]> {
  if ((await stat(path)).isDirectory()) return await accumulate(path, []);
  return parseManifests(await readFile(path, 'utf8'), nameOf(path));
}

async function configMapOf(
  { name, namespace, files, options: { labels } }: v.InferOutput<typeof configMapGenerator>,
  folder: string,
): Promise<Manifest> {
  const texts = files.map(async (file) => [basename(file), await readFile(join(folder, file), 'utf8')] as const);
  const metadata = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
  };
  const data = Object.fromEntries(await Promise.all(texts));
  return asManifest({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }, nameOf(folder));
}

/** The objects of a YAML text. `file` is for messages. */
export function parseManifests(text: string, file: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [mistake] = document.errors;
    if (mistake !== undefined) throw new Error(`${file}: ${mistake.message}`);
    const object: unknown = document.toJS();
    return object === null ? [] : [asManifest(object, file)];
  });
}

function asManifest(object: unknown, file: string): Manifest {
  const result = v.safeParse(manifestSchema, object);
  if (result.success) return result.output as Manifest;
  throw new Error(`${file} is no Kubernetes object: ${result.issues.map(({ message }) => message).join('; ')}`);
}

async function applyPatch(
  objects: readonly Manifest[],
  { file, target: wanted }: { file: string; target: Target | undefined },
): Promise<Manifest[]> {
  const name = nameOf(file);
  const text = await readFile(file, 'utf8');
  const result =
    wanted === undefined
      ? parseManifests(text, name).reduce((all, patch) => merged(all, patch, name), objects)
      : objects.map((object) => {
          if (!isMatch(object, wanted)) return object;
          const operations = v.parse(patchSchema, parse(text));
          return asManifest(patchJson(asJson(object), operations, `${name} on ${identityOf(object)}`), name);
        });
  if (result.every((object, index) => object === objects[index])) {
    throw new Error(`${name} changes nothing: no object is what it is for.`);
  }
  return [...result];
}

/** Kustomize merges lists of Kubernetes' own kinds by keys that only their schemas tell, so a merge with a list is refused. */
function merged(objects: readonly Manifest[], patch: Manifest, file: string): readonly Manifest[] {
  if (hasList(asJson(patch))) throw new Error(`${file} merges a list: say it as a JSON patch with a target.`);
  const identity = identityOf(patch);
  return objects.map((object) =>
    identityOf(object) === identity ? asManifest(mergePatch(asJson(object), asJson(patch)), file) : object,
  );
}

function hasList(value: Json): boolean {
  return Array.isArray(value) || (typeof value === 'object' && value !== null && Object.values(value).some(hasList));
}

/** What was read from YAML is JSON. */
function asJson(object: Manifest): Json {
  return object as unknown as Json;
}

/** Names and namespaces are regular expressions of the whole word. */
export function isMatch({ apiVersion, kind, metadata }: Manifest, wanted: Target): boolean {
  const words = apiVersion.split('/');
  const [group, version] = words.length === 1 ? ['', words[0]] : words;
  const isWhole = (pattern: string | undefined, text: string) =>
    pattern === undefined || new RegExp(`^(?:${pattern})$`).test(text);
  return (
    (wanted.group === undefined || wanted.group === group) &&
    (wanted.version === undefined || wanted.version === version) &&
    (wanted.kind === undefined || wanted.kind === kind) &&
    isWhole(wanted.name, metadata.name) &&
    isWhole(wanted.namespace, metadata.namespace ?? 'default')
  );
}

export function identityOf({ apiVersion, kind, metadata }: Manifest): string {
  return `${apiVersion} ${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
}

function refuseTwice(objects: readonly Manifest[], folder: string): void {
  const seen = new Set<string>();
  for (const identity of objects.map(identityOf)) {
    if (seen.has(identity)) throw new Error(`${nameOf(folder)}: ${identity} is there twice.`);
    seen.add(identity);
  }
}

type Image = v.InferOutput<typeof image>;

/** Images of containers, wherever in an object a list of them is. */
function withImages(value: unknown, images: readonly Image[]): unknown {
  if (images.length === 0 || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withImages(item, images));
  return Object.fromEntries(
    Object.entries(value).map(([key, field]) => {
      const isList = (key === 'containers' || key === 'initContainers') && Array.isArray(field);
      return [key, isList ? field.map((container) => withImage(container, images)) : withImages(field, images)];
    }),
  );
}

function withImage(container: unknown, images: readonly Image[]): unknown {
  const found = v.safeParse(v.looseObject({ image: v.string() }), container);
  if (!found.success) return container;
  const [, name = '', rest = ''] =
    /^(.+?)((?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]+)?)$/.exec(found.output.image) ?? [];
  const change = images.find((one) => one.name === name);
  if (change === undefined) return container;
  const { newName = name, newTag, digest } = change;
  const end = digest !== undefined ? `@${digest}` : newTag !== undefined ? `:${newTag}` : rest;
  return { ...found.output, image: `${newName}${end}` };
}

function nameOf(path: string): string {
  return relative(process.cwd(), path);
}
