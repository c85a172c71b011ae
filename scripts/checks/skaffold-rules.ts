import * as v from 'valibot';

// The documented fields of skaffold/v4beta13 that we use (https://skaffold.dev/docs/references/yaml/): any other field is
// refused, as a misspelt one is by skaffold itself.

const command = v.array(v.string());
const sync = v.strictObject({ manual: v.array(v.strictObject({ src: v.string(), dest: v.string() })) });
const artifact = v.strictObject({
  image: v.string(),
  docker: v.strictObject({
    target: v.string(),
    buildArgs: v.optional(v.record(v.pipe(v.string(), v.regex(/^[A-Z_]+$/)), v.string())),
  }),
  sync: v.optional(sync),
});
const tagPolicy = v.union([
  v.strictObject({ inputDigest: v.strictObject({}) }),
  v.strictObject({ envTemplate: v.strictObject({ template: v.string() }) }),
]);
const local = v.strictObject({
  push: v.optional(v.boolean()),
  useBuildkit: v.optional(v.boolean()),
  concurrency: v.optional(v.number()),
});
const manifests = v.strictObject({ kustomize: v.strictObject({ paths: v.array(v.string()) }) });
const hook = v.strictObject({ host: v.strictObject({ command, os: v.optional(v.array(v.string())) }) });
const patch = v.strictObject({
  op: v.picklist(['add', 'replace', 'remove']),
  path: v.pipe(v.string(), v.startsWith('/')),
  value: v.optional(v.unknown()),
});
const profile = v.strictObject({
  name: v.string(),
  activation: v.optional(
    v.array(v.strictObject({ command: v.optional(v.string()), kubeContext: v.optional(v.string()) })),
  ),
  build: v.optional(v.strictObject({ tagPolicy: v.optional(tagPolicy), local: v.optional(local) })),
  manifests: v.optional(manifests),
  patches: v.optional(v.array(patch)),
});
const portForward = v.strictObject({
  resourceType: v.string(),
  resourceName: v.string(),
  namespace: v.optional(v.string()),
  port: v.number(),
  localPort: v.optional(v.number()),
});
const selector = v.strictObject({
  groupKind: v.string(),
  image: v.optional(v.array(v.string())),
  labels: v.optional(v.array(v.string())),
});

export const skaffoldSchema = v.strictObject({
  apiVersion: v.pipe(
    v.string(),
    v.regex(/^skaffold\/v4beta(1[3-9]|[2-9][0-9])$/, 'is not skaffold/v4beta13 or a later v4beta'),
  ),
  kind: v.literal('Config'),
  metadata: v.strictObject({ name: v.string() }),
  build: v.strictObject({ artifacts: v.array(artifact), tagPolicy, local }),
  manifests,
  deploy: v.strictObject({
    statusCheck: v.boolean(),
    statusCheckDeadlineSeconds: v.number(),
    kubectl: v.strictObject({ hooks: v.strictObject({ after: v.array(hook) }) }),
  }),
  resourceSelector: v.strictObject({ allow: v.array(selector) }),
  portForward: v.array(portForward),
  profiles: v.array(profile),
});
export type Skaffold = v.InferOutput<typeof skaffoldSchema>;
type Profile = Skaffold['profiles'][number];

/** What skaffold.yaml must agree with. */
export type SkaffoldFacts = {
  functions: readonly string[];
  /** Images of the containers in the manifests. */
  manifestImages: ReadonlySet<string>;
  /** `Kind.group` of the objects that skaffold does not know. */
  customKinds: ReadonlySet<string>;
  /** Stages of the Dockerfile. */
  targets: ReadonlySet<string>;
  /** Folders with a kustomization.yaml, from the root. */
  overlays: ReadonlySet<string>;
};

/** What is wrong with a skaffold.yaml that has the right shape, each with what to do about it. */
export function skaffoldMistakes(config: Skaffold, facts: SkaffoldFacts): string[] {
  return [
    ...artifactMistakes(config, facts),
    ...pathMistakes(config, facts),
    ...selectorMistakes(config, facts),
    ...waitMistakes(config),
    ...config.profiles.flatMap((one) => patchMistakes(config, one)),
    ...profileMistakes(config),
  ];
}

function artifactMistakes({ build }: Skaffold, { functions, manifestImages, targets }: SkaffoldFacts): string[] {
  const mistakes: string[] = [];
  const images = build.artifacts.map(({ image }) => image);
  for (const name of functions) {
    if (!images.includes(`odoo-fleet/${name}`)) mistakes.push(`No artifact odoo-fleet/${name} for functions/${name}.`);
  }
  for (const { image, docker } of build.artifacts) {
    const name = image.replace(/^odoo-fleet\//, '');
    const given = docker.buildArgs?.['FUNCTION'];
    if (images.indexOf(image) !== images.lastIndexOf(image)) mistakes.push(`${image} is built twice.`);
    if (!targets.has(docker.target)) mistakes.push(`${image}: the Dockerfile has no stage ${docker.target}.`);
    if (!manifestImages.has(image)) mistakes.push(`${image}: no manifest under knative/ names this image.`);
    if (docker.target === 'function' && (given !== name || !functions.includes(name))) {
      mistakes.push(`${image} is built with FUNCTION ${given}: it has to be the function its image is named after.`);
    }
  }
  return mistakes;
}

function pathMistakes(config: Skaffold, { overlays }: SkaffoldFacts): string[] {
  const paths = [config.manifests, ...config.profiles.map((one) => one.manifests)].flatMap(
    (one) => one?.kustomize.paths ?? [],
  );
  return paths.filter((path) => !overlays.has(path)).map((path) => `${path} has no kustomization.yaml.`);
}

function selectorMistakes({ resourceSelector }: Skaffold, { customKinds }: SkaffoldFacts): string[] {
  const allowed = resourceSelector.allow.map(({ groupKind }) => groupKind);
  const missing = [...customKinds].filter((kind) => !allowed.includes(kind));
  const unused = allowed.filter((kind) => !customKinds.has(kind));
  return [
    ...missing.map((kind) => `resourceSelector does not allow ${kind}: skaffold would leave such objects as they are.`),
    ...unused.map((kind) => `resourceSelector allows ${kind}, which no manifest has.`),
  ];
}

/** Skaffold's own wait knows no Knative Service. */
function waitMistakes({ deploy }: Skaffold): string[] {
  const commands = deploy.kubectl.hooks.after.map(({ host }) => host.command.join(' '));
  const waits = commands.some((line) =>
    line.startsWith('kubectl wait ksvc --all --namespace=odoo-fleet --for=condition=Ready '),
  );
  return waits ? [] : ['deploy.kubectl.hooks.after does not wait until all Knative Services of odoo-fleet are Ready.'];
}

/** A patch of a profile points into the list of artifacts by number: it has to hit one, and where nothing is. */
function patchMistakes({ build }: Skaffold, { name, patches = [] }: Profile): string[] {
  return patches.flatMap(({ op, path }) => {
    const [, index, field] = /^\/build\/artifacts\/(\d+)\/(.+)$/.exec(path) ?? [];
    const artifact = build.artifacts[Number(index)];
    if (field === undefined || artifact === undefined) return [`Profile ${name} patches ${path}, where nothing is.`];
    const parts = field.split('/');
    const parent = parts.slice(0, -1).reduce<unknown>(childOf, artifact);
    const isThere = childOf(parent, parts.at(-1) ?? '') !== undefined;
    if (parent === undefined) return [`Profile ${name} patches ${path} of ${artifact.image}, where nothing is.`];
    return isThere === (op !== 'add')
      ? []
      : [`Profile ${name}: ${op} ${path} ${isThere ? 'is there already' : 'is not there'}.`];
  });
}

function childOf(parent: unknown, key: string): unknown {
  return typeof parent === 'object' && parent !== null ? (parent as Record<string, unknown>)[key] : undefined;
}

/** dev runs every function from its sources; prod takes the base by digest, from the environment, for every image. */
function profileMistakes({ build, profiles }: Skaffold): string[] {
  const names = ['dev', 'kind', 'prod'];
  const mistakes = names
    .filter((name) => !profiles.some((one) => one.name === name))
    .map((name) => `No profile ${name}.`);
  const patchesOf = (name: string) => profiles.find((one) => one.name === name)?.patches ?? [];
  build.artifacts.forEach(({ image, docker, sync }, index) => {
    const at = `/build/artifacts/${index}/docker/`;
    const hasBase = patchesOf('prod').some(
      ({ path, value }) => path.startsWith(`${at}buildArgs`) && /"\{\{\.BASE\}\}"/.test(JSON.stringify(value)),
    );
    if (!hasBase) mistakes.push(`Profile prod does not give ${image} its BASE from the environment.`);
    if (docker.target !== 'function') return;
    const isDev = patchesOf('dev').some(({ path, value }) => path === `${at}target` && value === 'dev');
    if (!isDev) mistakes.push(`Profile dev does not build ${image} for the target dev.`);
    if (sync === undefined) mistakes.push(`${image} has no sync: skaffold dev would build it anew for every change.`);
  });
  return mistakes;
}
