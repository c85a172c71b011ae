import type { Json, JsonObject } from './json.ts';
import { arrayAt, isObject, objectAt, stringAt } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import { labelsOf, nameOf, uidOf, withMetadata } from './objects.ts';
import { podSpecDefaults, withRequestsFromLimits } from './pod-defaults.ts';
import type { Resource } from './resources.ts';
import { notSupported } from './status.ts';

export type DefaultsContext = {
  previous: KubernetesObject | undefined;
  /** An address of the service network that no Service has. */
  freeClusterIp(): string;
};

/** The object with the defaults of its kind filled in. Expects metadata (uid, name) to be complete. */
export function withDefaults(resource: Resource, object: KubernetesObject, context: DefaultsContext): KubernetesObject {
  const fill = byKind[resource.kind];
  return fill ? fill(object, context) : object;
}

type Fill = (object: KubernetesObject, context: DefaultsContext) => KubernetesObject;

const byKind: Record<string, Fill> = {
  Namespace: namespaceDefaults,
  Secret: secretDefaults,
  Service: serviceDefaults,
  PersistentVolumeClaim: claimDefaults,
  Pod: podDefaults,
  Deployment: deploymentDefaults,
  Job: jobDefaults,
  Ingress: (object) => ({ ...object, status: objectAt(object, 'status') ?? { loadBalancer: {} } }),
  NetworkPolicy: networkPolicyDefaults,
};

function specOf(object: KubernetesObject): JsonObject {
  return objectAt(object, 'spec') ?? {};
}

function namespaceDefaults(object: KubernetesObject): KubernetesObject {
  const labels = { ...labelsOf(object), 'kubernetes.io/metadata.name': nameOf(object) };
  return {
    ...withMetadata(object, { labels }),
    spec: { finalizers: ['kubernetes'], ...specOf(object) },
    status: { phase: 'Active', ...objectAt(object, 'status') },
  };
}

function secretDefaults(object: KubernetesObject): KubernetesObject {
  const { stringData, ...rest } = object;
  const filled = { type: 'Opaque', ...rest };
  if (!isObject(stringData)) return filled;
  const encoded = Object.keys(stringData).map((key) => [
    key,
    Buffer.from(stringAt(stringData, key) ?? '').toString('base64'),
  ]);
  return { ...filled, data: { ...objectAt(object, 'data'), ...Object.fromEntries(encoded) } };
}

function serviceDefaults(object: KubernetesObject, { previous, freeClusterIp }: DefaultsContext): KubernetesObject {
  const spec = specOf(object);
  const type = stringAt(spec, 'type') ?? 'ClusterIP';
  if (type !== 'ClusterIP') throw notSupported(`a Service of type ${type}`);
  const known = previous ? stringAt(specOf(previous), 'clusterIP') : undefined;
  const clusterIP = stringAt(spec, 'clusterIP') || known || freeClusterIp();
  const ports = arrayAt(spec, 'ports').map(
    (port): Json => (isObject(port) ? { protocol: 'TCP', targetPort: port['port'] ?? null, ...port } : port),
  );
  return {
    ...object,
    spec: {
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      ...spec,
      ...(ports.length > 0 ? { ports } : {}),
      clusterIP,
      clusterIPs: [clusterIP],
    },
    status: objectAt(object, 'status') ?? { loadBalancer: {} },
  };
}

function claimDefaults(object: KubernetesObject): KubernetesObject {
  return {
    ...object,
    spec: { volumeMode: 'Filesystem', ...specOf(object) },
    status: { phase: 'Pending', ...objectAt(object, 'status') },
  };
}

function podDefaults(object: KubernetesObject): KubernetesObject {
  const spec = {
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
    priority: 0,
    serviceAccountName: 'default',
    ...specOf(object),
  };
  return {
    ...object,
    spec: withRequestsFromLimits(podSpecDefaults(spec, 'Always')),
    status: { phase: 'Pending', ...objectAt(object, 'status') },
  };
}

/** `template` with its pod spec's defaults. A template's metadata is there even when it is empty. */
function templateDefaults(spec: JsonObject, restartPolicy?: string): JsonObject {
  const template = objectAt(spec, 'template') ?? {};
  return {
    ...template,
    metadata: { ...objectAt(template, 'metadata') },
    spec: podSpecDefaults(objectAt(template, 'spec') ?? {}, restartPolicy),
  };
}

function deploymentDefaults(object: KubernetesObject): KubernetesObject {
  const spec = specOf(object);
  const strategy = objectAt(spec, 'strategy') ?? {};
  const type = stringAt(strategy, 'type') ?? 'RollingUpdate';
  const rolling = { maxUnavailable: '25%', maxSurge: '25%', ...objectAt(strategy, 'rollingUpdate') };
  return {
    ...object,
    spec: {
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...spec,
      strategy: type === 'RollingUpdate' ? { type, rollingUpdate: rolling } : { ...strategy, type },
      template: templateDefaults(spec, 'Always'),
    },
    status: objectAt(object, 'status') ?? {},
  };
}

function jobDefaults(object: KubernetesObject, { previous }: DefaultsContext): KubernetesObject {
  const spec = specOf(object);
  const template = templateDefaults(spec);
  const uid = uidOf(object);
  // Like the real server, which generates selector and labels once.
  const isGenerated = previous === undefined && spec['manualSelector'] !== true;
  const generated: JsonObject = !isGenerated
    ? {}
    : {
        'batch.kubernetes.io/controller-uid': uid,
        'batch.kubernetes.io/job-name': nameOf(object),
        'controller-uid': uid,
        'job-name': nameOf(object),
      };
  const metadata = objectAt(template, 'metadata');
  const labels = { ...objectAt(metadata, 'labels'), ...generated };
  const selector = isGenerated ? { selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } } } : {};
  const isCounted = spec['completions'] === undefined && spec['parallelism'] === undefined;
  // A Job without labels gets those of its template.
  const own = labelsOf(object);
  const labelled = Object.keys(own).length > 0 ? object : withMetadata(object, { labels });
  return {
    ...labelled,
    spec: {
      parallelism: 1,
      ...(isCounted ? { completions: 1 } : {}),
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      podReplacementPolicy: 'TerminatingOrFailed',
      manualSelector: false,
      ...selector,
      ...spec,
      template: { ...template, metadata: { ...metadata, labels } },
    },
    status: objectAt(object, 'status') ?? {},
  };
}

function networkPolicyDefaults(object: KubernetesObject): KubernetesObject {
  const spec = specOf(object);
  const policyTypes = arrayAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  const rules = ['ingress', 'egress'].flatMap((field) =>
    Array.isArray(spec[field]) ? [[field, arrayAt(spec, field).map(ruleDefaults)]] : [],
  );
  return { ...object, spec: { podSelector: {}, policyTypes, ...spec, ...Object.fromEntries(rules) } };
}

function ruleDefaults(rule: Json): Json {
  if (!isObject(rule) || !Array.isArray(rule['ports'])) return rule;
  const ports = rule['ports'].map((port): Json => (isObject(port) ? { protocol: 'TCP', ...port } : port));
  return { ...rule, ports };
}
