import type { FunctionService, Manifests, Trigger } from '#shared/sandbox/manifests.ts';

/** What the rules look at. The shape of each object was checked when the manifests were read: `delivery` is whole. */
export type ManifestFacts = {
  manifests: Manifests;
  /** Folders of `functions/` that have a `main.ts`. */
  functions: readonly string[];
  /** Event types of the catalogue, and whether they come in. */
  catalogue: readonly { type: string; direction: string }[];
  /** Files below the base, and those that its kustomization lists. */
  files: readonly string[];
  resources: readonly string[];
  /** Connections a process keeps unless its Service says otherwise. */
  defaultPoolMax: number;
};

/** What the connection bouncer accepts (`max_client_conn`), for all functions together. */
export const bouncerClientLimit = 1000;

/** Types that reach an operation's function by `opkind` and not by their own name. */
const commands = /^dev\.odoofleet\.operation\.(advance|retry|cancel)$/;
const operationRequest = /^dev\.odoofleet\.instance\.([a-z]+)\.requested$/;
const ping = 'dev.knative.sources.ping';

/** Everything that is wrong, a line each. Pure. */
export function manifestMistakes(facts: ManifestFacts): string[] {
  return [...functionMistakes(facts), ...fileMistakes(facts), ...triggerMistakes(facts), ...eventMistakes(facts)];
}

/** Connections to the bouncer at the most: every function at its max-scale with a full pool. */
export function poolBudget(
  services: readonly FunctionService[],
  defaultPoolMax: number,
): { name: string; connections: number }[] {
  return services.map(({ name, maxScale, env }) => {
    const own = env['DATABASE_POOL_MAX'];
    return { name, connections: maxScale * (own === undefined ? defaultPoolMax : Number(own)) };
  });
}

function functionMistakes({ manifests, functions, files, defaultPoolMax }: ManifestFacts): string[] {
  const services = new Set(manifests.services.map(({ name }) => name));
  // A program that answers people instead of events is an ordinary Deployment, without Trigger.
  const deployed = files.flatMap((file) => /^([^/]+)\/deployment\.yaml$/.exec(file)?.[1] ?? []);
  const budget = poolBudget(manifests.services, defaultPoolMax);
  const sum = budget.reduce((total, { connections }) => total + connections, 0);
  return [
    ...functions
      .filter((name) => !services.has(name) && !deployed.includes(name))
      .map((name) => `functions/${name} has no Service: write knative/base/${name}/service.yaml.`),
    ...manifests.services
      .filter(({ name }) => !functions.includes(name))
      .map(({ name }) => `Service ${name} has no program: write functions/${name}/main.ts.`),
    ...deployed
      .filter((name) => !functions.includes(name))
      .map((name) => `Deployment ${name} has no program: write functions/${name}/main.ts.`),
    ...manifests.services
      .filter(({ name, env }) => env['FUNCTION_TARGET'] !== name)
      .map(({ name }) => `Service ${name} must state FUNCTION_TARGET=${name}.`),
    ...manifests.services
      .filter(({ maxScale }) => maxScale === 0)
      .map(({ name }) => `Service ${name} has no upper limit: max-scale 0 means unlimited.`),
    ...(sum <= bouncerClientLimit
      ? []
      : [
          `All functions may open ${sum} connections, the bouncer takes ${bouncerClientLimit}: lower a max-scale or a pool.`,
        ]),
  ];
}

function fileMistakes({ manifests, files, resources }: ManifestFacts): string[] {
  const wanted = files.filter((file) => file !== 'kustomization.yaml');
  return [
    ...wanted.filter((file) => !resources.includes(file)).map((file) => `kustomization.yaml does not list ${file}.`),
    ...resources
      .filter((file) => !wanted.includes(file))
      .map((file) => `kustomization.yaml lists ${file}: no such file.`),
    ...manifests.services
      .filter(({ name }) => !files.includes(`${name}/service.yaml`))
      .map(({ name }) => `Service ${name} belongs into ${name}/service.yaml.`),
  ];
}

function triggerMistakes({ manifests, catalogue }: ManifestFacts): string[] {
  const services = new Map(manifests.services.map((service) => [service.name, service]));
  const types = new Set(catalogue.map(({ type }) => type));
  const mistakesOf = (trigger: Trigger): string[] => {
    const { name, filterAttributes, subscriber, delivery } = trigger;
    const { type, opkind } = filterAttributes;
    const service = services.get(subscriber);
    const sink = delivery.deadLetterSink;
    return [
      ...(type === undefined && opkind === undefined ? ['matches by neither type nor opkind'] : []),
      ...(type !== undefined && !types.has(type) ? [`has type ${type}, which events/catalogue.ts does not have`] : []),
      ...(service === undefined ? [`delivers to ${subscriber}, which is no Service of ours`] : []),
      ...(!services.has(sink) ? [`has the dead-letter sink ${sink}, which is no Service of ours`] : []),
      ...(service !== undefined && delivery.timeoutMs >= service.timeoutMs
        ? [`waits ${delivery.timeoutMs} ms, not less than the ${service.timeoutMs} ms its Service may take`]
        : []),
    ].map((mistake) => `Trigger ${name} ${mistake}.`);
  };
  return manifests.triggers.flatMap(mistakesOf);
}

/** Every event that comes in has somebody who gets it, and every operation its two Triggers. */
function eventMistakes({ manifests, functions, catalogue }: ManifestFacts): string[] {
  const filters = manifests.triggers.map(({ filterAttributes, subscriber }) => ({ ...filterAttributes, subscriber }));
  const hasTrigger = (wanted: { type?: string; opkind?: string; subscriber?: string }) =>
    filters.some((one) => Object.entries(wanted).every(([key, value]) => one[key as keyof typeof one] === value));
  const operations = catalogue.flatMap(({ type }) => operationRequest.exec(type)?.[1] ?? []);
  return [
    ...operations
      .filter((name) => functions.includes(name))
      .filter((name) => !hasTrigger({ type: `dev.odoofleet.instance.${name}.requested`, subscriber: name }))
      .map((name) => `Operation ${name} has no Trigger for its request.`),
    ...operations
      .filter((name) => !hasTrigger({ opkind: name, subscriber: name }))
      .map((name) => `Operation ${name} has no Trigger for opkind ${name}: nobody would advance it.`),
    ...operations
      .filter((name) => !functions.includes(name))
      .map((name) => `Event dev.odoofleet.instance.${name}.requested has no function ${name}.`),
    ...catalogue
      .filter(({ direction, type }) => direction !== 'out' && type !== ping && !commands.test(type))
      .filter(({ type }) => !operationRequest.test(type) && !hasTrigger({ type }))
      .map(({ type }) => `Nobody gets ${type}: write a Trigger.`),
    ...(catalogue.some(({ type }) => type === ping) && manifests.pingSources.length === 0
      ? ['Nobody sends ticks: write a PingSource.']
      : []),
  ];
}
