import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import * as v from 'valibot';
import { isMap, parseAllDocuments } from 'yaml';
import {
  apiServerSourceSchema,
  kindSchema,
  pingSourceSchema,
  serviceSchema,
  triggerSchema,
} from './manifests/schemas.ts';

/** A Knative Service: one function. */
export type FunctionService = {
  name: string;
  containerConcurrency: number;
  timeoutMs: number;
  minScale: number;
  maxScale: number;
  /** Plain values of the container's `env`; what comes from a ConfigMap or a Secret is not here. */
  env: Record<string, string>;
};

export type Backoff = { policy: 'linear' | 'exponential'; delayMs: number };

export type Trigger = {
  name: string;
  broker: string;
  /** Exact matches on CloudEvent attributes, all of which must hold. Empty matches every event. */
  filterAttributes: Record<string, string>;
  /** The Knative Service that gets the events. */
  subscriber: string;
  /** How many events are delivered at a time; unset where the manifest does not say. */
  parallelism: number | undefined;
  delivery: {
    /** Attempts after the first one. */
    retry: number;
    backoff: Backoff;
    timeoutMs: number;
    /** The Knative Service that gets what could not be delivered. */
    deadLetterSink: string;
  };
};

export type PingSource = {
  name: string;
  everyMs: number;
  contentType: string;
  data: string;
  /** The Knative Service that gets the ticks. */
  sink: string;
  /** The `source` attribute that Knative gives its events. */
  source: string;
};

export type WatchedResource = { apiVersion: string; kind: string; labelSelector: string };

export type Manifests = {
  services: FunctionService[];
  triggers: Trigger[];
  pingSources: PingSource[];
  /** What the ApiServerSources watch. */
  watched: WatchedResource[];
};

/**
 * Reads every `.yaml` file below `folder` into what the sandbox runs. Other kinds are passed over.
 * @throws Error that names file, object and field of everything that is missing or not understood.
 */
export async function readManifests(folder: string): Promise<Manifests> {
  const names = await readdir(folder, { recursive: true });
  const files = names.filter((name) => name.endsWith('.yaml')).sort();
  const manifests: Manifests = { services: [], triggers: [], pingSources: [], watched: [] };
  for (const file of files) {
    const path = join(folder, file);
    addManifests(manifests, await readFile(path, 'utf8'), relative(process.cwd(), path));
  }
  refuseTwice('Service', manifests.services);
  refuseTwice('Trigger', manifests.triggers);
  refuseTwice('PingSource', manifests.pingSources);
  return manifests;
}

/** The objects of one YAML text; `file` is for messages. Throws as `readManifests` does. */
export function parseManifests(text: string, file: string): Manifests {
  const manifests: Manifests = { services: [], triggers: [], pingSources: [], watched: [] };
  addManifests(manifests, text, file);
  return manifests;
}

function addManifests(manifests: Manifests, text: string, file: string): void {
  for (const document of parseAllDocuments(text)) {
    const mistake = document.errors[0];
    if (mistake !== undefined) throw new Error(`${file}: ${mistake.message}`);
    if (!isMap(document.contents)) continue;
    const object: unknown = document.toJS();
    const { apiVersion, kind } = check(kindSchema, object, file);
    const where = `${file}: ${kind} ${nameOf(object)}`;
    if (kind === 'Service' && apiVersion === 'serving.knative.dev/v1')
      manifests.services.push(toService(object, where));
    if (kind === 'Trigger' && apiVersion === 'eventing.knative.dev/v1')
      manifests.triggers.push(toTrigger(object, where));
    if (kind === 'PingSource' && apiVersion === 'sources.knative.dev/v1') {
      manifests.pingSources.push(toPingSource(object, where));
    }
    if (kind === 'ApiServerSource' && apiVersion === 'sources.knative.dev/v1') {
      manifests.watched.push(...toWatched(object, where));
    }
  }
}

function toService(object: unknown, where: string): FunctionService {
  const { metadata, spec } = check(serviceSchema, object, where);
  const { metadata: podMetadata, spec: pod } = spec.template;
  const [container] = pod.containers;
  return {
    name: metadata.name,
    containerConcurrency: pod.containerConcurrency,
    timeoutMs: pod.timeoutSeconds * 1000,
    minScale: podMetadata.annotations['autoscaling.knative.dev/min-scale'] ?? 0,
    maxScale: podMetadata.annotations['autoscaling.knative.dev/max-scale'],
    env: Object.fromEntries(container.env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]]))),
  };
}

function toTrigger(object: unknown, where: string): Trigger {
  const { metadata, spec } = check(triggerSchema, object, where);
  if (spec.filters !== undefined) {
    throw new Error(
      `${where}: spec.filters is ignored by the RabbitMQ broker, which would send every event; use spec.filter`,
    );
  }
  const { retry, backoffPolicy, backoffDelay, timeout, deadLetterSink } = spec.delivery;
  return {
    name: metadata.name,
    broker: spec.broker,
    filterAttributes: spec.filter.attributes,
    subscriber: spec.subscriber.ref.name,
    parallelism: metadata.annotations['rabbitmq.eventing.knative.dev/parallelism'],
    delivery: {
      retry,
      backoff: { policy: backoffPolicy, delayMs: backoffDelay },
      timeoutMs: timeout,
      deadLetterSink: deadLetterSink.ref.name,
    },
  };
}

function toPingSource(object: unknown, where: string): PingSource {
  const { metadata, spec } = check(pingSourceSchema, object, where);
  return {
    name: metadata.name,
    everyMs: spec.schedule,
    contentType: spec.contentType,
    data: spec.data,
    sink: spec.sink.ref.name,
    source: `/apis/v1/namespaces/${metadata.namespace}/pingsources/${metadata.name}`,
  };
}

function toWatched(object: unknown, where: string): WatchedResource[] {
  return check(apiServerSourceSchema, object, where).spec.resources.map(({ apiVersion, kind, selector }) => ({
    apiVersion,
    kind,
    labelSelector: Object.entries(selector.matchLabels)
      .map(([label, value]) => `${label}=${value}`)
      .join(','),
  }));
}

function refuseTwice(kind: string, objects: readonly { name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of objects) {
    if (seen.has(name)) throw new Error(`There are two manifests of ${kind} ${name}; give one of them another name`);
    seen.add(name);
  }
}

function nameOf(object: unknown): string {
  const result = v.safeParse(v.object({ metadata: v.object({ name: v.string() }) }), object);
  return result.success ? result.output.metadata.name : 'without a name';
}

function check<T>(schema: v.GenericSchema<unknown, T>, object: unknown, where: string): T {
  const result = v.safeParse(schema, object);
  if (result.success) return result.output;
  const mistakes = result.issues.map((issue) => `${v.getDotPath(issue) ?? 'object'}: ${issue.message}`);
  throw new Error(`${where}: ${mistakes.join('; ')}`);
}
