import { readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { stringify } from 'yaml';
import { type Manifests, parseManifests } from '#shared/sandbox/manifests.ts';
import { agreementMistakes, brokerClassOf, connectionLimitOf, dataOf, productionMistakes } from './agreement-rules.ts';
import { poolBudget, sumOf } from './connections.ts';
import { buildManifests, type Manifest, readKustomization, withComponent } from './kustomize.ts';
import { numberMistakes } from './manifest-rules.ts';
import { podMistakes, podOf } from './pod-rules.ts';

/** Something that is built: an overlay, or base with one component on it. */
export type Build = { name: string; objects: readonly Manifest[]; isOverlay: boolean };

/** Everything that can be built below `knative`: each overlay, base with each component, and the migrations. */
export async function builds(knative: string): Promise<Build[]> {
  const foldersOf = async (name: string) =>
    (await readdir(join(knative, name))).toSorted().map((folder) => `${name}/${folder}`);
  const overlays = await foldersOf('overlays');
  const components = [...(await foldersOf('components')), 'observability/tracing'];
  const files = await readdir(knative, { recursive: true });
  const migrations = overlays.map((folder) => `${folder}/migration`).filter((folder) => files.includes(folder));
  const whole = ['base', ...overlays, 'migration', ...migrations];
  const built = await Promise.all(
    whole.map(async (name) => ({
      name,
      objects: await buildManifests(join(knative, name)),
      isOverlay: overlays.includes(name),
    })),
  );
  const base = built[0]?.objects ?? [];
  const extended = components.map(async (name) => ({
    name: `base with ${name}`,
    objects: await withComponent(base, join(knative, name)),
    isOverlay: false,
  }));
  return [...built, ...(await Promise.all(extended))];
}

export type CheckFacts = {
  knownSettings: ReadonlySet<string>;
  numbers: { poolMax: number; stepBudgetMs: number; shutdownMs: number };
};

/** What is wrong with a build, and a line that says what it is. Pure. */
export function checkBuild(build: Build, { knownSettings, numbers }: CheckFacts): { line: string; mistakes: string[] } {
  const { name, objects, isOverlay } = build;
  const manifests = functionsOf(objects, name);
  const settings = dataOf(objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'odoo-fleet'));
  const { limit, of } = connectionLimitOf(objects);
  const defaultPoolMax = Number(settings['DATABASE_POOL_MAX'] ?? numbers.poolMax);
  const budget = poolBudget(manifests.services, defaultPoolMax);
  const brokerClass = brokerClassOf(objects);
  const { stepBudgetMs, shutdownMs } = numbers;
  const mistakes = [
    // Into the pods of `skaffold dev` files are synchronised.
    ...objects.flatMap((object) => podMistakes(object, { knownSettings, mayWrite: name.endsWith('-sync') })),
    ...agreementMistakes(objects, { knownSettings }),
    ...numberMistakes({ manifests, defaultPoolMax, connectionLimit: limit, stepBudgetMs, shutdownMs }),
    ...(isOverlay && brokerClass === undefined
      ? ['An overlay picks one broker: one of components/{in-memory,rabbitmq,kafka}.']
      : []),
    ...(name.endsWith('/prod') ? productionMistakes(objects) : []),
  ];
  const secrets = [
    ...new Set(
      objects.flatMap((object) => podOf(object)?.volumes.flatMap(({ secret }) => secret?.secretName ?? []) ?? []),
    ),
  ];
  const needs =
    isOverlay || manifests.services.length === 0 ? `; Secrets to be made: ${secrets.toSorted().join(', ')}` : '';
  if (manifests.services.length === 0) return { line: `${name}: ${objects.length} objects${needs}`, mistakes };
  const parts = budget.map(({ name: one, connections }) => `${one} ${connections}`).join(', ');
  const sum = `at most ${sumOf(budget)} of the ${limit} connections ${of} accepts`;
  const line = `${name}: ${objects.length} objects, broker ${brokerClass ?? 'of the overlay'}, ${sum}`;
  return { line: isOverlay ? `${line} (${parts})${needs}` : line, mistakes };
}

/** The functions, Triggers and sources of a build, as the sandbox reads them. */
function functionsOf(objects: readonly Manifest[], name: string): Manifests {
  const own = objects.filter(({ apiVersion }) => apiVersion.includes('knative.dev/'));
  // without aliases for what two objects share
  const texts = own.map((object) => stringify(object, { aliasDuplicateObjects: false }));
  return parseManifests(texts.join('---\n'), name);
}

/** Files that no kustomization lists: they would be missed in a cluster only. */
export async function unlistedFiles(knative: string): Promise<string[]> {
  const files = (await readdir(knative, { recursive: true })).filter((name) => name.endsWith('.yaml') && isOurs(name));
  const folders = files.filter((name) => name.endsWith('kustomization.yaml')).map((name) => dirname(name));
  const listed = await Promise.all(
    folders.map(async (folder) => {
      const { resources, patches } = await readKustomization(join(knative, folder));
      return [...resources, ...patches.map(({ path }) => path)].map((path) => join(folder, path));
    }),
  );
  const known = new Set(listed.flat());
  return files
    .filter((name) => !name.endsWith('kustomization.yaml') && !known.has(name))
    .map((name) => `No kustomization lists ${relative(process.cwd(), join(knative, name))}.`);
}

/** Folders with rules of their own: what watches the fleet, and the tests of it. */
function isOurs(name: string): boolean {
  return !/^(observability|acceptance)\//.test(name);
}
