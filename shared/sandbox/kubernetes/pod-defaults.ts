import type { Json, JsonObject } from './json.ts';
import { arrayAt, isObject, objectAt, stringAt } from './json.ts';

/** The defaults of a pod's spec that the real API server fills in and this product's programs read. */
export function podSpecDefaults(spec: JsonObject, restartPolicy?: string): JsonObject {
  const account = stringAt(spec, 'serviceAccountName') ?? stringAt(spec, 'serviceAccount');
  return {
    ...(restartPolicy === undefined ? {} : { restartPolicy }),
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
    ...spec,
    ...(account === undefined ? {} : { serviceAccountName: account, serviceAccount: account }),
    ...lists(spec, 'containers', containerDefaults),
    ...lists(spec, 'initContainers', containerDefaults),
    ...lists(spec, 'volumes', volumeDefaults),
  };
}

function lists(parent: JsonObject, field: string, fill: (item: JsonObject) => JsonObject): JsonObject {
  if (!Array.isArray(parent[field])) return {};
  return { [field]: arrayAt(parent, field).map((item): Json => (isObject(item) ? fill(item) : item)) };
}

function containerDefaults(container: JsonObject): JsonObject {
  const probes = Object.fromEntries(
    ['startupProbe', 'livenessProbe', 'readinessProbe'].flatMap((field) => {
      const probe = objectAt(container, field);
      return probe ? [[field, probeDefaults(probe)]] : [];
    }),
  );
  return {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: pullPolicy(stringAt(container, 'image') ?? ''),
    resources: {},
    ...container,
    ...lists(container, 'ports', (port) => ({ protocol: 'TCP', ...port })),
    ...lists(container, 'env', environmentDefaults),
    ...probes,
  };
}

/** In a pod, what has a limit and no request gets the limit as its request. Templates stay as they are. */
export function withRequestsFromLimits(spec: JsonObject): JsonObject {
  const fill = (container: JsonObject) => {
    const resources = objectAt(container, 'resources');
    const limits = objectAt(resources, 'limits');
    if (!limits) return container;
    return { ...container, resources: { ...resources, requests: { ...limits, ...objectAt(resources, 'requests') } } };
  };
  return { ...spec, ...lists(spec, 'containers', fill), ...lists(spec, 'initContainers', fill) };
}

function environmentDefaults(variable: JsonObject): JsonObject {
  const source = objectAt(variable, 'valueFrom');
  const field = objectAt(source, 'fieldRef');
  if (!field) return variable;
  return { ...variable, valueFrom: { ...source, fieldRef: { apiVersion: 'v1', ...field } } };
}

function probeDefaults(probe: JsonObject): JsonObject {
  const httpGet = objectAt(probe, 'httpGet');
  return {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    ...probe,
    ...(httpGet ? { httpGet: { path: '/', scheme: 'HTTP', ...httpGet } } : {}),
  };
}

function volumeDefaults(volume: JsonObject): JsonObject {
  const mode = { defaultMode: 0o644 };
  const filled = ['secret', 'configMap', 'downwardAPI', 'projected'].flatMap((field) => {
    const source = objectAt(volume, field);
    return source ? [[field, { ...mode, ...source }]] : [];
  });
  const hasSource = Object.keys(volume).some((field) => field !== 'name');
  return { ...volume, ...(hasSource ? {} : { emptyDir: {} }), ...Object.fromEntries(filled) };
}

/** `Always` for `:latest` and images without a tag, else `IfNotPresent`. */
function pullPolicy(image: string): string {
  const name = image.split('/').at(-1) ?? '';
  const isTagged = name.includes('@') || (name.includes(':') && !name.endsWith(':latest'));
  return isTagged ? 'IfNotPresent' : 'Always';
}
