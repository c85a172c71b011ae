import type { FunctionService, Manifests, Trigger } from '#shared/sandbox/manifests.ts';
import { poolBudget, sumOf } from './connections.ts';
import { publicFunctions } from './public-functions.ts';

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
};

/** What must be known of an overlay besides. Times in milliseconds. */
export type OverlayFacts = Pick<ManifestFacts, 'manifests'> & {
  /** Connections a process keeps unless its Service says otherwise. */
  defaultPoolMax: number;
  /** Connections that are accepted for all functions together. */
  connectionLimit: number;
  /** How long one request may go on starting steps. */
  stepBudgetMs: number;
  /** How long a process takes to end at the most. */
  shutdownMs: number;
};

/** Types that reach an operation's function by `opkind` and not by their own name. */
const commands = /^dev\.odoofleet\.operation\.(advance|retry|cancel)$/;
const operationRequest = /^dev\.odoofleet\.instance\.([a-z]+)\.requested$/;
const ping = 'dev.knative.sources.ping';

/** Everything that is wrong, a line each. Pure. */
export function manifestMistakes(facts: ManifestFacts): string[] {
  return [...functionMistakes(facts), ...fileMistakes(facts), ...triggerMistakes(facts), ...eventMistakes(facts)];
}

/** Numbers of an overlay that contradict each other, a line each. Pure. */
export function numberMistakes(facts: OverlayFacts): string[] {
  const { manifests, defaultPoolMax, connectionLimit, stepBudgetMs, shutdownMs } = facts;
  const sum = sumOf(poolBudget(manifests.services, defaultPoolMax));
  const timeouts = new Map(manifests.services.map(({ name, timeoutMs }) => [name, timeoutMs]));
  return [
    ...manifests.services.flatMap((service) => scaleMistakes(service, shutdownMs)),
    ...manifests.triggers.flatMap(({ name, subscriber, delivery: { timeoutMs } }) => [
      ...(timeoutMs > (timeouts.get(subscriber) ?? 0)
        ? [`Trigger ${name} waits ${timeoutMs} ms, longer than its Service may take.`]
        : []),
      ...(stepBudgetMs >= timeoutMs
        ? [`Trigger ${name} waits ${timeoutMs} ms: steps may begin until ${stepBudgetMs} ms.`]
        : []),
    ]),
    ...(sum <= connectionLimit
      ? []
      : [`All functions may open ${sum} connections, ${connectionLimit} are accepted: lower a max-scale or a pool.`]),
  ];
}

/** Serving gives a pod as long to end as its longest request may take: `timeoutSeconds` is its grace period. */
function scaleMistakes({ name, minScale, maxScale, timeoutMs }: FunctionService, shutdownMs: number): string[] {
  return [
    ...(maxScale === 0 ? ['has no upper limit: max-scale 0 means unlimited'] : []),
    ...(minScale > maxScale && maxScale > 0 ? [`keeps ${minScale} pods and may have ${maxScale}`] : []),
    ...(shutdownMs < timeoutMs ? [] : [`is killed after ${timeoutMs} ms and takes up to ${shutdownMs} ms to end`]),
    // above that responseStartTimeoutSeconds has to be stated too
    ...(timeoutMs > 300_000 ? [`may take ${timeoutMs} ms; Serving cuts an answer that has not begun after 300 s`] : []),
  ].map((mistake) => `Service ${name} ${mistake}.`);
}

function functionMistakes({ manifests, functions, files }: ManifestFacts): string[] {
  const services = new Set(manifests.services.map(({ name }) => name));
  // A program that answers people instead of events is an ordinary Deployment, without Trigger.
  const deployed = files.flatMap((file) => /^([^/]+)\/deployment\.yaml$/.exec(file)?.[1] ?? []);
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
  ];
}

/** What a function's folder has: one file of each list. A dead letter sink is named by others. */
function filesOfFunction({ triggers }: Manifests, name: string): string[][] {
  const isSink = triggers.some(({ delivery }) => delivery.deadLetterSink === name);
  const called = isSink || publicFunctions.includes(name) ? [] : [['trigger.yaml', 'ping-source.yaml']];
  return [['service-account.yaml'], ['pod-disruption-budget.yaml'], ...called];
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
    ...manifests.services.flatMap(({ name }) =>
      filesOfFunction(manifests, name)
        .filter((choice) => !choice.some((file) => files.includes(`${name}/${file}`)))
        .map((choice) => `Service ${name} has no ${choice.join(' or ')}.`),
    ),
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
